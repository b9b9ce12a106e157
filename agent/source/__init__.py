"""The sensors, and the port they fill. Only this package touches libbpf."""
