// A tensor of the model: its values, and its gradient if it is trained.

package import Tensors

/// One tensor that a layer computes with.
///
/// A trained parameter is F32: products round it to bf16 as they read it, so that the values are their own master
/// copy. A frozen one is as the file has it.
package final class Parameter {
    /// The name that it is saved under: the checkpoint's, or PEFT's without `base_model.model.`.
    package let name: String
    package let shape: [Int]
    package let value: Matrix
    /// F32, of the value's shape; nil for a frozen parameter. Micro batches add to it.
    package let gradient: Matrix?
    package var isTrained: Bool { gradient != nil }

    package init(name: String, shape: [Int], value: Matrix, gradient: Matrix? = nil) {
        precondition(gradient == nil || value.type == .f32, "what is trained is F32")
        self.name = name
        self.shape = shape
        self.value = value
        self.gradient = gradient
    }
}
