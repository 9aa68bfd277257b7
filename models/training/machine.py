"""What a training run finds to work on: processor or graphics card, threads, memory, how short its products may be."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

_GB = 1e9
_MEMORY = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
_SHARE = 0.5  # of the free memory for what is kept: the rest is for weights, gradients and the mails of a batch


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run takes place."""

    device: str  # as torch names it: cpu or cuda
    name: str
    threads: int
    free: int  # bytes of main memory
    bfloat16: bool  # products of 16 bits are made by hardware and are faster

    @property
    def line(self) -> str:
        """For the one who waits."""
        return f"{self.device}: {self.name}, {self.threads} threads, {self.free / _GB:.1f} GB of memory free"

    def budget(self, memory_gb: float) -> int:
        """Bytes that may be kept in memory; 0 asks for a share of what is free."""
        return int(memory_gb * _GB) if memory_gb else int(self.free * _SHARE)

    def short(self, bits: int) -> bool:
        """Whether products have 16 bits, if `bits` are asked for (0: where they are faster)."""
        return bits == 16 or (bits == 0 and self.bfloat16)

    def products(self, bits: int) -> AbstractContextManager[object]:
        """Within it products have as many bits as `bits` asks for, sums and weights 32 (Micikevicius et al., 2018)."""
        return torch.autocast(self.device, torch.bfloat16) if self.short(bits) else nullcontext()


def this_machine() -> Machine:
    """A graphics card if torch sees one, else the processor; CUDA_VISIBLE_DEVICES= hides the cards."""
    threads, free = torch.get_num_threads(), free_memory()
    if not torch.cuda.is_available():
        # a processor may have such products too, but results on one shall be those of every other
        return Machine("cpu", f"{os.cpu_count() or 1} cores", threads, free, bfloat16=False)
    short = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return Machine("cuda", torch.cuda.get_device_name(), threads, free, bfloat16=short)


def free_memory(memory: Path = _MEMORY, limit: Path = _LIMIT, used: Path = _USED) -> int:
    """Bytes that can be taken without swapping; within a container at most what is left of its limit."""
    free = _available(memory)
    allowed = limit.read_text().strip() if limit.exists() else "max"
    return free if allowed == "max" else max(0, min(free, int(allowed) - int(used.read_text())))


def _available(memory: Path) -> int:
    if not memory.exists():  # no Linux: half of all
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    found = dict(line.split(":", 1) for line in memory.read_text().splitlines() if ":" in line)
    return int(found["MemAvailable"].split()[0]) * 1024
