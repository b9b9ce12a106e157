"""Learn: profiles per workload, how complete they are, and what is new."""
