// The choice among instruction sets.

import CKernels
import Testing

@Suite("Instruction sets")
struct CPUTests {
    @Test("Plain C is always there, and what is used is available")
    func somethingIsAvailable() {
        #expect(ck_isa_available(CK_ISA_PORTABLE))
        #expect(ck_isa_available(ck_current_isa()))
        #expect(!ck_isa_available(ck_isa(rawValue: 7)))
        #if arch(arm64)
        #expect(ck_isa_available(CK_ISA_NEON) && !ck_isa_available(CK_ISA_AVX2))
        #else
        #expect(!ck_isa_available(CK_ISA_NEON))
        #endif
    }

    @Test("On one architecture a later set includes the earlier ones")
    func setsAreNested() {
        let x86 = [CK_ISA_AVX2, CK_ISA_AVX512, CK_ISA_AVX512_VNNI, CK_ISA_AVX512_BF16, CK_ISA_AMX]
        for (plainer, richer) in zip(x86, x86.dropFirst()) where ck_isa_available(richer) {
            #expect(ck_isa_available(plainer), "\(InstructionSets.name(richer)) alone")
        }
    }

    @Test("A set that is available is used until another is chosen; one that is not changes nothing")
    func choosing() {
        for isa in InstructionSets.all {
            let before = ck_current_isa()
            if ck_isa_available(isa) {
                InstructionSets.using(isa) { #expect(ck_current_isa() == isa) }
            } else {
                #expect(!ck_set_isa(isa))
            }
            #expect(ck_current_isa() == before)
        }
    }

    @Test("Every set has a name of its own")
    func names() {
        let names = InstructionSets.all.map(InstructionSets.name)
        #expect(Set(names).count == names.count && !names.contains("unknown"))
        #expect(InstructionSets.name(ck_isa(rawValue: 99)) == "unknown")
    }
}
