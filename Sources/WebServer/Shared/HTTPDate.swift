// Dates as HTTP headers have them (RFC 9110, section 5.6.7).
import Text

enum HTTPDate {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Such as "Sun, 06 Nov 1994 08:49:37 GMT".
    /// - Parameter seconds: since 1970-01-01T00:00:00Z.
    static func text(seconds: Int) -> String {
        let time = CivilTime(Timestamp(seconds: max(0, seconds)))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = days[max(0, seconds) / 86_400 % 7]
        return "\(day), \(two(time.day)) \(months[time.month - 1]) \(time.year) "
            + "\(two(time.hour)):\(two(time.minute)):\(two(time.second)) GMT"
    }
}
