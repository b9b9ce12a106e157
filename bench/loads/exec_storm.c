// SPDX-License-Identifier: Apache-2.0
/* exec_storm COUNT WORKERS PROGRAM [RATE]: fork, execve, exit, wait. */
#include "load.h"

static void run_once(char *program)
{
	char *argv[] = {program, "benchmark", NULL}, *env[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL};
	pid_t child = fork();
	int status;

	if (child < 0)
		die("fork");
	if (child == 0) {
		execve(program, argv, env);
		die(program);
	}
	if (waitpid(child, &status, 0) < 0 || status)
		die("waitpid");
}

int main(int argc, char **argv)
{
	long count = number(argc, argv, 1, 1000), workers = number(argc, argv, 2, 1), share = count / workers;
	double rate = (double)number(argc, argv, 4, 0) / (double)workers;
	uint64_t begun = now_ns();

	if (argc < 4)
		return 2;
	for (long worker = 0; worker < workers; worker++) {
		if (fork())
			continue;
		for (long i = 0; i < share; i++) {
			keep_rate(begun, i, rate);
			run_once(argv[3]);
		}
		_exit(0);
	}
	return finish("exec", share * workers, begun);
}
