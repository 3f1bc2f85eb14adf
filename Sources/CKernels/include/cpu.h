// Which vector instructions this machine has, and which of them the kernels use.
#ifndef CKERNELS_CPU_H
#define CKERNELS_CPU_H

#include <stdbool.h>

// The instruction sets that kernels are written for, from the plainest up. A later one on the same
// architecture includes the earlier ones.
typedef enum ck_isa {
    CK_ISA_PORTABLE = 0,     // plain C, the reference for all others
    CK_ISA_NEON = 1,         // ARMv8 Advanced SIMD
    CK_ISA_AVX2 = 2,         // AVX2, FMA and F16C
    CK_ISA_AVX512 = 3,       // AVX-512 F, BW, DQ, VL
    CK_ISA_AVX512_VNNI = 4,  // and VNNI
    CK_ISA_AVX512_BF16 = 5,  // and BF16
    CK_ISA_AMX = 6,          // and AMX TILE, BF16 and INT8
} ck_isa;

// Whether this machine, including its operating system, can run `isa`.
bool ck_isa_available(ck_isa isa);

// What the kernels use that this thread calls: the best available one, unless `ck_set_isa` said otherwise or the
// environment variable MARTLET_ISA (portable, neon, avx2, avx512, avx512_vnni, avx512_bf16, amx) asked for a
// plainer one.
ck_isa ck_current_isa(void);

// Makes the kernels that this thread calls from now on use `isa`, for tests and benchmarks; other threads keep theirs,
// so that tests may run side by side. A kernel asks once, before it hands out its pieces. Returns false, changing
// nothing, if it is not available. Packed weights do not depend on it.
bool ck_set_isa(ck_isa isa);

const char *ck_isa_name(ck_isa isa);

#endif
