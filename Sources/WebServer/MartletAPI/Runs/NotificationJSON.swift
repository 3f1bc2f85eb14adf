// One notification of a run's end, as the page and programs see it: to whom, how far, and what went wrong.

import Controller
import Persistence
import Text

enum NotificationJSON {
    static func json(_ row: NotificationRow) -> JSONValue {
        .object([
            "id": .int(Int(row.id)),
            "to": .string(NotificationTarget(row.target["to"])?.words ?? "a target of another version"),
            "state": .string(state(row)), "attempts": .int(row.attempts),
            "createdAt": .moment(row.createdAt),
            "nextAttemptAt": row.doneAt == nil ? .moment(row.nextAttemptAt) : .null,
            "doneAt": .moment(row.doneAt), "error": .text(row.lastError),
        ])
    }

    private static func state(_ row: NotificationRow) -> String {
        switch (row.doneAt, row.lastError) {
        case (nil, nil): "waiting"
        case (nil, .some): "retrying"
        case (.some, nil): "delivered"
        case (.some, .some): "given up"
        }
    }
}
