// Finds out, once, which instruction sets this machine can run, and keeps the choice among them.

#include "include/cpu.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#define ISA_COUNT (CK_ISA_AMX + 1)

static const char *const names[ISA_COUNT] = {
    [CK_ISA_PORTABLE] = "portable", [CK_ISA_NEON] = "neon",
    [CK_ISA_AVX2] = "avx2",         [CK_ISA_AVX512] = "avx512",
    [CK_ISA_AVX512_VNNI] = "avx512_vnni", [CK_ISA_AVX512_BF16] = "avx512_bf16",
    [CK_ISA_AMX] = "amx",
};

#if defined(__x86_64__)

typedef struct registers {
    uint32_t eax, ebx, ecx, edx;
} registers;

static registers cpuid(uint32_t leaf, uint32_t subleaf) {
    registers r = {0, 0, 0, 0};
    __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
    return r;
}

// Which register files the operating system saves when it switches threads (XCR0).
static uint64_t saved_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

// The tiles are 8 KB of state more for each thread, so Linux wants to be asked before a process uses them.
static bool request_tiles(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
    const int request_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
    return false;
#endif
}

static uint32_t detect(void) {
    uint32_t found = 1u << CK_ISA_PORTABLE;
    registers one = cpuid(1, 0);
    const uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    if (!all(one.ecx, fma | osxsave | avx | f16c)) return found;
    uint64_t saved = saved_state();
    if ((saved & 0x6) != 0x6) return found;
    registers seven = cpuid(7, 0);
    const uint32_t avx2 = 1u << 5;
    if (!all(seven.ebx, avx2)) return found;
    found |= 1u << CK_ISA_AVX2;
    // AVX-512 F, DQ, BW and VL; its mask and upper registers must be saved as well.
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    if (!all(seven.ebx, avx512) || (saved & 0xe0) != 0xe0) return found;
    found |= 1u << CK_ISA_AVX512;
    const uint32_t vnni = 1u << 11;
    if (!all(seven.ecx, vnni)) return found;
    found |= 1u << CK_ISA_AVX512_VNNI;
    registers seven_one = cpuid(7, 1);
    const uint32_t bf16 = 1u << 5;
    if (!all(seven_one.eax, bf16)) return found;
    found |= 1u << CK_ISA_AVX512_BF16;
    const uint32_t amx = 1u << 22 | 1u << 24 | 1u << 25;  // BF16, TILE, INT8
    const uint64_t tile_state = 1u << 17 | 1u << 18;
    if (all(seven.edx, amx) && (saved & tile_state) == tile_state && request_tiles()) found |= 1u << CK_ISA_AMX;
    return found;
}

#elif defined(__aarch64__)

// Advanced SIMD is part of the base of 64-bit Arm.
static uint32_t detect(void) { return 1u << CK_ISA_PORTABLE | 1u << CK_ISA_NEON; }

#else

static uint32_t detect(void) { return 1u << CK_ISA_PORTABLE; }

#endif

// A bit for each available instruction set; 0 until it is known. Two threads may both find out: the answer is
// the same.
static _Atomic uint32_t available;
// What is used where nothing was set, plus 1; 0 until it is known.
static _Atomic int usual;
// What this thread asked for, plus 1; 0 if nothing.
static _Thread_local int wanted_here;

bool ck_isa_available(ck_isa isa) {
    uint32_t known = atomic_load_explicit(&available, memory_order_relaxed);
    if (known == 0) {
        known = detect();
        atomic_store_explicit(&available, known, memory_order_relaxed);
    }
    return (unsigned)isa < ISA_COUNT && (known >> isa & 1) != 0;
}

// A name that is unknown, or of something this machine lacks, changes nothing: the best is used.
static ck_isa initial_choice(void) {
    const char *wanted = getenv("MARTLET_ISA");
    for (int isa = 0; wanted != NULL && isa < ISA_COUNT; isa++) {
        if (strcmp(wanted, names[isa]) == 0 && ck_isa_available((ck_isa)isa)) return (ck_isa)isa;
    }
    int best = ISA_COUNT - 1;
    while (!ck_isa_available((ck_isa)best)) best--;
    return (ck_isa)best;
}

ck_isa ck_current_isa(void) {
    if (wanted_here != 0) return (ck_isa)(wanted_here - 1);
    int chosen = atomic_load_explicit(&usual, memory_order_relaxed);
    if (chosen == 0) {
        chosen = (int)initial_choice() + 1;
        atomic_store_explicit(&usual, chosen, memory_order_relaxed);
    }
    return (ck_isa)(chosen - 1);
}

bool ck_set_isa(ck_isa isa) {
    if (!ck_isa_available(isa)) return false;
    wanted_here = (int)isa + 1;
    return true;
}

const char *ck_isa_name(ck_isa isa) { return (unsigned)isa < ISA_COUNT ? names[isa] : "unknown"; }
