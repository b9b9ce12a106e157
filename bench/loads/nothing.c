// SPDX-License-Identifier: Apache-2.0
/* The program exec_storm runs: linked statically, so that only exec itself is measured. */
int main(void)
{
	return 0;
}
