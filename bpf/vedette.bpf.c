// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* All probe families in one translation unit. Not linked from an object each: libbpf before 1.2 cannot
 * link two objects that call the same kernel function (see docs/adr/0004-hooks.md).
 */
#include "probes/attribute.bpf.c"
#include "probes/cgroup.bpf.c"
#include "probes/cred.bpf.c"
#include "probes/dns.bpf.c"
#include "probes/file.bpf.c"
#include "probes/kernel.bpf.c"
#include "probes/memory.bpf.c"
#include "probes/namespace.bpf.c"
#include "probes/mount.bpf.c"
#include "probes/net.bpf.c"
#include "probes/path.bpf.c"
#include "probes/perm.bpf.c"
#include "probes/process.bpf.c"
#include "probes/socket.bpf.c"
#include "probes/trace.bpf.c"
#ifndef VEDETTE_WITHOUT_BTF /* BCC cannot attach them */
#include "probes/lsm_call.bpf.c"
#include "probes/lsm_done.bpf.c"
#include "probes/lsm_file.bpf.c"
#include "probes/lsm_mode.bpf.c"
#include "probes/lsm_path.bpf.c"
#endif
