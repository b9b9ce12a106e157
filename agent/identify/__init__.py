"""Who did it: cgroup → container → workload, and the process tree."""
