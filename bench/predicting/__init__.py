"""`sidecar-bench predict`: what the user says, made a question that `reports.prediction` answers.

values.py    options' values: lists, ranges, quotas, rates of deployment
times.py     what a hit, a miss and a hop take: measured in a stored run, given, or assumed
traffic.py   the requests: of logs, of a scenario, or described by numbers
asking.py    the question
checking.py  a stored run beside what is predicted for its requests
of_run.py    the explorer of a stored run's report
"""
