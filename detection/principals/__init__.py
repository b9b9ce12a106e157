"""What principals of a control plane do, learned by the same mathematics as the behaviour of workloads."""
