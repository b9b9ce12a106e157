"""What agent and collector share, pure and without I/O: findings, rules, baseline mathematics."""
