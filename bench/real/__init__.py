"""Real software in containers, recorded and replayed: do profiles converge, does the budget hold, what stands out?"""
