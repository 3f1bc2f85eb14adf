// Values as JSON, and the texts of decimals, dates and times.

import Testing
import Text

@testable import Tables

@Suite("Values of tables")
struct TableValueTests {
    @Test("Bytes become text in JSON if they are UTF-8, else base64")
    func bytes() {
        for (bytes, text) in [
            ([], #""""#), ([0x61, 0xC3, 0xA4], #""aä""#), ([0xFF], #"{"base64":"/w=="}"#),
            ([0xFF, 0xFE], #"{"base64":"//4="}"#), ([0xFF, 0xFE, 0xFD], #"{"base64":"//79"}"#),
            ([0xFF, 0xFE, 0xFD, 0x00], #"{"base64":"//79AA=="}"#),
        ] as [([UInt8], String)] {
            #expect(TableValue.bytes(bytes).json.compactText == text)
        }
    }

    @Test("JSON goes into values and comes out the same")
    func roundTrip() throws {
        let text = #"{"z":[1,-2.5,null,true,"x",[],{}],"a":{"b":9223372036854775807}}"#
        let value = TableValue(try OrderedJSON(parsing: text))
        #expect(value.json.compactText == text)
        #expect(value["a"]?["b"]?.intValue == .max && value["z"]?.listValue?.count == 7 && value["q"] == nil)
        #expect(value["z"]?.listValue?[1].doubleValue == -2.5 && value["z"]?.listValue?[2].isNull == true)
        #expect(value["z"]?.listValue?[3].boolValue == true && TableValue.double(5).intValue == 5)
        #expect(TableValue.bytes([0x61]).stringValue == "a" && TableValue.bytes([0xFF]).stringValue == nil)
    }

    @Test(
        "Decimals are exact",
        arguments: [
            (0, 0, "0"), (0, 2, "0.00"), (5, 2, "0.05"), (-5, 2, "-0.05"), (1234, 2, "12.34"),
            (-1234, 4, "-0.1234"),
            (.min, 3, "-9223372036854775.808"),
        ] as [(Int64, Int, String)])
    func decimals(number: Int64, scale: Int, text: String) {
        #expect(DecimalText.text(of: number, scale: scale) == text)
        let bytes = withUnsafeBytes(of: number.bigEndian) { Array($0) }
        #expect(DecimalText.text(ofBigEndian: bytes, scale: scale) == text)
        let sign: UInt8 = number < 0 ? 0xFF : 0
        #expect(DecimalText.text(ofBigEndian: [sign, sign, sign] + bytes, scale: scale) == text)
    }

    @Test("Wide decimals are exact, too, and absurd ones are none")
    func wideDecimals() {
        // 2^127 - 1 and -2^127.
        let most = [0x7F] + [UInt8](repeating: 0xFF, count: 15)
        #expect(DecimalText.text(ofBigEndian: most, scale: 1) == "17014118346046923173168730371588410572.7")
        let least = [0x80] + [UInt8](repeating: 0, count: 15)
        #expect(DecimalText.text(ofBigEndian: least, scale: 0) == "-170141183460469231731687303715884105728")
        #expect(DecimalText.text(ofBigEndian: [], scale: 0) == nil)
        #expect(DecimalText.text(ofBigEndian: [UInt8](repeating: 1, count: 257), scale: 0) == nil)
    }

    @Test("Dates and times have texts, however far away they are")
    func calendar() {
        #expect(CalendarText.date(day: 0) == "1970-01-01" && CalendarText.date(day: 19_782) == "2024-02-29")
        #expect(CalendarText.date(day: -719_162) == "0001-01-01")
        #expect(CalendarText.date(day: Int(Int32.max)) == "5881580-07-11")
        #expect(CalendarText.time(47_100_250, .milliseconds) == "13:05:00.25")
        #expect(CalendarText.time(-1, .nanoseconds) == nil)
        #expect(CalendarText.timestamp(-1, .nanoseconds, isUTC: true) == "1969-12-31T23:59:59.999999999Z")
        #expect(CalendarText.timestamp(0, .microseconds, isUTC: false) == "1970-01-01T00:00:00")
        for unit in [LogicalType.Unit.milliseconds, .microseconds, .nanoseconds] {
            for number in [Int64.min, .max] {
                #expect(CalendarText.timestamp(number, unit, isUTC: true).hasSuffix("Z"))
            }
        }
        #expect(
            CalendarText.moment(day: 4_292_526_707, second: -9_223_372_037, nanosecond: 0, isUTC: false)
                .contains("T"))
    }

    @Test("A row answers by column, the first of those that have the same name")
    func rows() {
        let row = TableRow([("a", .int(1)), ("b", .null), ("a", .int(2))])
        #expect(row["a"] == .int(1) && row["b"] == .null && row["c"] == nil)
        #expect(row.json.compactText == #"{"a":1,"b":null,"a":2}"#)
    }
}
