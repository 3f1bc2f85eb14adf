// Runs a test's kernels with each instruction set that the machine has.

import CKernels

enum InstructionSets {
    /// From the plainest up.
    static let available: [ck_isa] = all.filter { ck_isa_available($0) }
    static let all: [ck_isa] = [
        CK_ISA_PORTABLE, CK_ISA_NEON, CK_ISA_AVX2, CK_ISA_AVX512, CK_ISA_AVX512_VNNI, CK_ISA_AVX512_BF16,
        CK_ISA_AMX,
    ]

    static func name(_ isa: ck_isa) -> String { String(cString: ck_isa_name(isa)) }

    /// The choice belongs to the thread, and tests share threads: it is undone at the end.
    static func using<Result>(_ isa: ck_isa, _ body: () throws -> Result) rethrows -> Result {
        let before = ck_current_isa()
        precondition(ck_set_isa(isa), "\(name(isa)) is not available")
        defer { _ = ck_set_isa(before) }
        return try body()
    }
}
