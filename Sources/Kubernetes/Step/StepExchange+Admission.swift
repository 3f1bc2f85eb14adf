// Who may speak to the door of steps at all, told before anything of a request is read.

import Executors

extension StepExchange {
    /// Whether the header shows a token that was made here. Which step it is for is asked when it is answered.
    package func admits(_ authorization: String) -> Bool {
        let bearer = "Bearer "
        return authorization.hasPrefix(bearer)
            && key(ofToken: String(authorization.dropFirst(bearer.count))) != nil
    }
}
