"""What a scenario compares, written as an engineer would deploy it: ECS, Kubernetes, Compose."""
