"""Recordings of the system calls each workload makes: on request, for seccomp profiles."""
