// A launch that is kept while its pod lives. It is a large value, and the free places of a table of thousands would
// be as large as it.

import Scheduling

final class HeldLaunch: Sendable {
    let launch: Launch

    init(_ launch: Launch) { self.launch = launch }
}
