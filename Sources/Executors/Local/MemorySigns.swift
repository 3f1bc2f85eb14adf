// What frameworks write when memory runs out, before they end with a code of their own.

enum MemorySigns {
    /// Of PyTorch on any device, of CUDA's libraries, of Python and of C++.
    private static let signs = [
        "CUDA out of memory", "HIP out of memory", "MPS backend out of memory", "OutOfMemoryError",
        "DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED",
        "CUDNN_STATUS_ALLOC_FAILED", "cudaErrorMemoryAllocation", "CUDA error: out of memory",
        "RESOURCE_EXHAUSTED: Out of memory", "MemoryError", "std::bad_alloc",
    ]

    /// Whether some lines of a log say it.
    static func areIn(_ text: String) -> Bool { signs.contains { text.contains($0) } }
}
