/* Preloaded into a process, makes its processor look as if it had no VNNI instructions, or, with HIDE=avx512, no AVX-512 either.
 *
 * Linux lets a process trap its own CPUID instruction (arch_prctl ARCH_CPUID, where /proc/cpuinfo names cpuid_fault); the
 * handler answers as the processor would, less the bits that are to be hidden. Exit code 77: this kernel cannot. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_CPUID 0x1012

static int hide_avx512;

static void mask(unsigned leaf, unsigned sub, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
    if (leaf != 7) return;
    if (sub == 0) {
        *c &= ~(1u << 11);                              /* AVX512_VNNI */
        *d &= ~(1u << 22 | 1u << 24 | 1u << 25);        /* AMX */
        if (hide_avx512) *b &= ~(1u << 16 | 1u << 17 | 1u << 30 | 1u << 31); /* AVX512 F, DQ, BW, VL */
    }
    if (sub == 1) {
        *a &= ~(1u << 4);           /* AVX_VNNI */
        *d &= ~(1u << 4 | 1u << 10); /* AVX_VNNI_INT8, AVX_VNNI_INT16 */
    }
}

static void answer(int number, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)r[REG_RIP];
    unsigned leaf = (unsigned)r[REG_RAX], sub = (unsigned)r[REG_RCX], a, b, c, d;
    (void)info;
    if (at[0] != 0x0f || at[1] != 0xa2) { /* no CPUID: a real fault */
        signal(number, SIG_DFL);
        return;
    }
    syscall(SYS_arch_prctl, ARCH_CPUID, 1);
    __cpuid_count(leaf, sub, a, b, c, d);
    syscall(SYS_arch_prctl, ARCH_CPUID, 0);
    mask(leaf, sub, &a, &b, &c, &d);
    r[REG_RAX] = a, r[REG_RBX] = b, r[REG_RCX] = c, r[REG_RDX] = d;
    r[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
    const char *hide = getenv("HIDE");
    struct sigaction trap = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    hide_avx512 = hide && strcmp(hide, "avx512") == 0;
    sigaction(SIGSEGV, &trap, NULL);
    if (syscall(SYS_arch_prctl, ARCH_CPUID, 0) != 0) _exit(77);
}
