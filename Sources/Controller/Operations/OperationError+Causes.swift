// The failures of store, scheduler and disk as what an operation tells its caller.

import Artifacts
package import Persistence
import Scheduling

extension OperationError {
    /// What the store refused or could not do.
    package init(_ error: StoreError) {
        switch error {
        case .notFound: self.init(.notFound, error.message)
        case .nameTaken, .conflict, .superseded: self.init(.conflict, error.message)
        case .invalid: self.init(.invalid, error.message)
        default: self.init(.unavailable, error.message)
        }
    }

    /// Runs a body and gives its errors the words of operations; what is no refusal passes through as it is.
    package static func naming<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as StoreError {
            throw OperationError(error)
        } catch let error as RefusedRequest {
            throw OperationError(.precondition, error.message)
        } catch let error as ControllerError {
            throw OperationError(.unavailable, error.message)
        } catch let error as ArtifactError {
            throw OperationError(.unavailable, "\(error)")
        }
    }
}
