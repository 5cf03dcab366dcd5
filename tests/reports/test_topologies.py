"""A run with a topology that only this test knows: reported like any other."""

from reports.analysis.run import analyse
from scenarios import topologies
from scenarios.topologies import Topology

NODE = Topology("node", "a Redis on the node", "shared", "apart", unused=("link.",))


def test_a_run_of_a_registered_topology_is_reported(made_up) -> None:
    with topologies.registered(NODE):
        analysis = analyse(made_up(topology=["sidecar", "node"]))
        assert [one.topology for one in analysis.summary.variants] == ["sidecar", "node"]
        assert analysis.summary.verdict.startswith("Compared with the sidecar, a Redis on the node")
        assert all(trial.valid for trial in analysis.measures)
