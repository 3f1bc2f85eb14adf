// A tensor on its way into a file: what it is called and where its bytes come from.

/// A tensor to be written. Its bytes are asked for when their place in the file is reached, piece by piece, so
/// that a model larger than memory can be written.
package struct TensorSource {
    /// Takes the next piece of a tensor's bytes.
    package typealias Sink = (UnsafeRawBufferPointer) throws -> Void

    package let name: String
    package let elementType: ElementType
    package let shape: [Int]
    let produce: (Sink) throws -> Void

    /// - Parameter produce: hands all bytes of the tensor, little-endian and rows last, to the sink in pieces of
    ///   any length. It may be called once or not at all. Pieces of some megabytes are written fastest.
    package init(
        name: String, elementType: ElementType, shape: [Int], produce: @escaping (Sink) throws -> Void
    ) {
        self.name = name
        self.elementType = elementType
        self.shape = shape
        self.produce = produce
    }

    /// - Parameter bytes: must stay valid until the tensor is written.
    package init(name: String, elementType: ElementType, shape: [Int], bytes: UnsafeRawBufferPointer) {
        self.init(name: name, elementType: elementType, shape: shape) { sink in try sink(bytes) }
    }

    package init(name: String, elementType: ElementType, shape: [Int], bytes: [UInt8]) {
        self.init(name: name, elementType: elementType, shape: shape) { sink in
            try bytes.withUnsafeBytes { try sink($0) }
        }
    }

    /// A tensor of F32.
    package init(name: String, shape: [Int], floats: [Float]) {
        self.init(name: name, elementType: .f32, shape: shape) { sink in
            try floats.withUnsafeBytes { try sink($0) }
        }
    }

    /// A copy of a stored tensor, whose memory is given back once it is written.
    package init(_ view: TensorView, name: String? = nil) {
        self.init(name: name ?? view.name, elementType: view.elementType, shape: view.shape) { sink in
            try withExtendedLifetime(view) { try sink(view.bytes) }
            view.release()
        }
    }
}
