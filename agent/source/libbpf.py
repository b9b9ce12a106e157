"""libbpf and the ring drain, bound through cffi in ABI mode: no compiler and no headers at run time."""

import os
import sys
from pathlib import Path
from typing import Any

from cffi import FFI

from agent.errors import SourceError

LIBRARY = Path(__file__).with_name("lib")

_LIBBPF = """
struct bpf_object; struct bpf_program; struct bpf_map; struct bpf_link; struct btf;
struct btf_type { uint32_t name_off; uint32_t info; uint32_t size_or_type; };
struct bpf_object *bpf_object__open_file(const char *path, const void *opts);
int bpf_object__load(struct bpf_object *obj);
void bpf_object__close(struct bpf_object *obj);
struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *obj, const char *name);
struct bpf_program *bpf_object__next_program(const struct bpf_object *obj, struct bpf_program *prog);
const char *bpf_program__name(const struct bpf_program *prog);
int bpf_program__set_autoload(struct bpf_program *prog, bool autoload);
int bpf_program__set_type(struct bpf_program *prog, int type);
int bpf_program__set_expected_attach_type(struct bpf_program *prog, int type);
int bpf_program__set_attach_target(struct bpf_program *prog, int attach_prog_fd, const char *attach_func_name);
struct bpf_link *bpf_program__attach_trace(const struct bpf_program *prog);
int bpf_program__fd(const struct bpf_program *prog);
struct bpf_link *bpf_program__attach(const struct bpf_program *prog);
struct bpf_link *bpf_program__attach_tracepoint(const struct bpf_program *prog, const char *category, const char *name);
int bpf_link__destroy(struct bpf_link *link);
struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *obj, const char *name);
int bpf_map__fd(const struct bpf_map *map);
int bpf_map__set_max_entries(struct bpf_map *map, uint32_t max_entries);
int bpf_map__set_autocreate(struct bpf_map *map, bool autocreate);
int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags);
int bpf_map_lookup_elem(int fd, const void *key, void *value);
int bpf_map_delete_elem(int fd, const void *key);
int bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value);
int bpf_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, uint32_t *count,
                         const void *opts);
int bpf_obj_get_info_by_fd(int fd, void *info, uint32_t *length);
int libbpf_num_possible_cpus(void);
int libbpf_probe_bpf_prog_type(int prog_type, const void *opts);
struct bpf_prog_load_opts {
    size_t sz; int attempts; int expected_attach_type; uint32_t prog_btf_fd, prog_flags, prog_ifindex, kern_version;
    uint32_t attach_btf_id, attach_prog_fd, attach_btf_obj_fd;
    const int *fd_array;
    const void *func_info; uint32_t func_info_cnt, func_info_rec_size;
    const void *line_info; uint32_t line_info_cnt, line_info_rec_size;
    uint32_t log_level, log_size; char *log_buf;
};
struct bpf_map_create_opts {
    size_t sz; uint32_t btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id, inner_map_fd, map_flags;
    uint64_t map_extra; uint32_t numa_node, map_ifindex;
};
int bpf_map_create(int map_type, const char *name, uint32_t key_size, uint32_t value_size, uint32_t max_entries,
                   const struct bpf_map_create_opts *opts);
struct bpf_map *bpf_object__next_map(const struct bpf_object *obj, const struct bpf_map *map);
const char *bpf_map__name(const struct bpf_map *map);
int bpf_map__type(const struct bpf_map *map);
uint32_t bpf_map__key_size(const struct bpf_map *map);
uint32_t bpf_map__value_size(const struct bpf_map *map);
uint32_t bpf_map__max_entries(const struct bpf_map *map);
uint32_t bpf_map__map_flags(const struct bpf_map *map);
int bpf_prog_load(int prog_type, const char *name, const char *license, const void *insns, size_t count,
                  const struct bpf_prog_load_opts *opts);
int bpf_raw_tracepoint_open(const char *name, int prog_fd);
int libbpf_probe_bpf_map_type(int map_type, const void *opts);
struct btf *btf__load_vmlinux_btf(void);
void btf__free(struct btf *btf);
int32_t btf__find_by_name_kind(const struct btf *btf, const char *name, uint32_t kind);
const struct btf_type *btf__type_by_id(const struct btf *btf, uint32_t id);
"""
_RING = """
struct vedette_ring;
struct vedette_ring *vedette_ring_new(int flood_fd, int urgent_fd);
long vedette_ring_read(struct vedette_ring *ring, char *out, size_t room, int timeout_ms, long pause_us,
                       unsigned int *records);
void vedette_ring_free(struct vedette_ring *ring);
struct vedette_filter; struct vedette_row;
struct vedette_pass { uint32_t now_s, phase, phases, coldest, evict; const char *programs; uint32_t n_programs; };
struct vedette_filter *vedette_filter_new(int map_fd, uint32_t entries, int cpus, uint64_t seed);
long vedette_filter_pass(struct vedette_filter *f, struct vedette_pass *pass, struct vedette_row *rows, uint32_t room,
                         uint32_t *stay);
uint32_t vedette_filter_coldest(const struct vedette_filter *f, uint32_t n);
void vedette_filter_free(struct vedette_filter *f);
void vedette_log_start(void);
const char *vedette_log(void);
"""
_LIBC = """
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
long syscall(long number, ...);
"""
_KIND_TYPEDEF, _KIND_FUNC = 8, 12
_PROG_INFO_BYTES = 216  # struct bpf_prog_info up to recursion_misses (Linux 5.12), whose offset is ABI
_NO_PROG_INFO = bytes(_PROG_INFO_BYTES)
_RECURSION_MISSES = slice(208, 216)


class LibBpf:
    """The opened libraries. `bpf`, `ring` and `libc` are cffi's; calls give what C gives.

    Raises: SourceError where a library is missing.
    """

    def __init__(self, directory: Path = LIBRARY) -> None:
        self.ffi = FFI()
        self.ffi.cdef(_LIBBPF + _RING + _LIBC)
        self.bpf = self._open("libbpf.so.1", "install the system package libbpf1")
        self.ring = self._open(str(directory / "libvedette_ring.so"), "run `make build`")
        self.libc: Any = self.ffi.dlopen(None)
        self._info, self._info_length = self.ffi.new("char[]", _PROG_INFO_BYTES), self.ffi.new("uint32_t *")
        self.start_log()

    def _open(self, name: str, remedy: str) -> Any:
        try:
            return self.ffi.dlopen(name)
        except OSError as error:
            raise SourceError(f"cannot open {name}: {error}; {remedy}") from None

    def start_log(self) -> None:
        """Forget what libbpf has said so far."""
        self.ring.vedette_log_start()

    def log(self) -> str:
        """What libbpf has said since `start_log`, at most 64 KiB; of a long message only the end."""
        text: Any = self.ffi.string(self.ring.vedette_log())
        return str(text.decode("utf-8", "replace"))

    def call(self, result: int, what: str) -> int:
        """Pass a non-negative result through. Raises: SourceError naming `what` and the error."""
        if result < 0:
            raise SourceError(f"{what}: {os.strerror(-result)}")
        return result

    def recursion_misses(self, program_fd: int) -> int:
        """How often the kernel skipped a program because one was running on that CPU; 0 before Linux 5.12."""
        self._info_length[0] = _PROG_INFO_BYTES
        self.ffi.memmove(self._info, _NO_PROG_INFO, _PROG_INFO_BYTES)  # what it holds is taken for a request
        self.bpf.bpf_obj_get_info_by_fd(program_fd, self._info, self._info_length)
        return int.from_bytes(self.ffi.buffer(self._info)[_RECURSION_MISSES], sys.byteorder)

    def mount_tracefs(self, target: str) -> bool:
        """Mount tracefs; whether it worked."""
        return bool(self.libc.mount(b"tracefs", target.encode(), b"tracefs", 0, self.ffi.NULL) == 0)


class KernelTypes:
    """What the running kernel says of itself in its BTF. Close after use. Raises: SourceError without BTF."""

    def __init__(self, lib: LibBpf) -> None:
        self._lib = lib
        self._btf = lib.bpf.btf__load_vmlinux_btf()
        if self._btf == lib.ffi.NULL:
            raise SourceError("the kernel has no BTF (/sys/kernel/btf/vmlinux): it needs CONFIG_DEBUG_INFO_BTF")

    def parameters(self, tracepoint: str) -> int:
        """How many arguments a tracepoint hands to a program; -1 where it does not exist."""
        bpf = self._lib.bpf
        ident = bpf.btf__find_by_name_kind(self._btf, f"btf_trace_{tracepoint}".encode(), _KIND_TYPEDEF)
        if ident < 0:
            return -1
        pointer = bpf.btf__type_by_id(self._btf, ident).size_or_type
        prototype = bpf.btf__type_by_id(self._btf, pointer).size_or_type
        return int(bpf.btf__type_by_id(self._btf, prototype).info & 0xFFFF) - 1  # the first is the tracepoint's own

    def function(self, name: str) -> int:
        """The type id of a kernel function; negative where it does not exist."""
        return int(self._lib.bpf.btf__find_by_name_kind(self._btf, name.encode(), _KIND_FUNC))

    def close(self) -> None:
        """Free the kernel's type information."""
        self._lib.bpf.btf__free(self._btf)
