/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Numbers of the system calls that one program tells apart: asm/unistd_64.h of x86, asm-generic/unistd.h for
 * the others, which have only the younger calls.
 */
#ifndef VEDETTE_CALLS_H
#define VEDETTE_CALLS_H

#define NR_IO_URING_ENTER 426 /* on every architecture */

#if defined(__TARGET_ARCH_x86)
enum call_number {
	NR_TRUNCATE = 76, NR_FTRUNCATE = 77, NR_RENAME = 82, NR_MKDIR = 83, NR_RMDIR = 84, NR_LINK = 86,
	NR_UNLINK = 87, NR_SYMLINK = 88, NR_CHOWN = 92, NR_FCHOWN = 93, NR_LCHOWN = 94, NR_MKNOD = 133,
	NR_SETXATTR = 188, NR_LSETXATTR = 189, NR_FSETXATTR = 190, NR_MKDIRAT = 258, NR_MKNODAT = 259,
	NR_FCHOWNAT = 260, NR_UNLINKAT = 263, NR_RENAMEAT = 264, NR_LINKAT = 265, NR_SYMLINKAT = 266,
	NR_RENAMEAT2 = 316, NR_SETXATTRAT = 463, NR_OPEN = 2, NR_CREAT = 85, NR_OPENAT = 257, NR_OPENAT2 = 437,
};
#else
enum call_number {
	NR_SETXATTR = 5, NR_LSETXATTR = 6, NR_FSETXATTR = 7, NR_MKNODAT = 33, NR_MKDIRAT = 34, NR_UNLINKAT = 35,
	NR_SYMLINKAT = 36, NR_LINKAT = 37, NR_RENAMEAT = 38, NR_TRUNCATE = 45, NR_FTRUNCATE = 46, NR_FCHOWNAT = 54,
	NR_FCHOWN = 55, NR_RENAMEAT2 = 276, NR_SETXATTRAT = 463, NR_OPENAT = 56, NR_OPENAT2 = 437,
	NR_RENAME = -20, NR_MKDIR, NR_RMDIR, NR_LINK, NR_UNLINK, NR_SYMLINK, NR_CHOWN, NR_LCHOWN, NR_MKNOD, NR_OPEN,
	NR_CREAT, /* none */
};
#endif

#endif
