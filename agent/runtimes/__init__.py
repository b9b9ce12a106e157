"""Container runtimes, asked over their own sockets."""
