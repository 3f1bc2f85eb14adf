// Schemas with instances that are valid and invalid, as models are asked for them.

enum SchemaCases {
    static let scalars = [
        SchemaCase("true", valid: ["1", "null", #"{"a":[]}"#, #""x""#], invalid: ["", "nul", "{", "[1,]"]),
        SchemaCase(#"{"type": "null"}"#, valid: ["null"], invalid: ["true", "nulll"]),
        SchemaCase(#"{"type": "boolean"}"#, valid: ["true", "false"], invalid: ["null", "True"]),
        SchemaCase(
            #"{"type": "integer"}"#, valid: ["0", "7", "-12", "123456789012345"],
            invalid: ["01", "-", "1.5", "-0", "1e3", "+1"]),
        SchemaCase(
            #"{"type": "number"}"#, valid: ["0", "-0.5", "3.25e-10", "0.30000000000000004", "1E+2"],
            invalid: [".5", "1.", "1e", "--1", "00"]),
        SchemaCase(
            #"{"type": "integer", "minimum": 3, "maximum": 120}"#, valid: ["3", "9", "10", "99", "120"],
            invalid: ["2", "0", "121", "200", "1000", "-5"]),
        SchemaCase(
            #"{"type": "integer", "minimum": -15, "exclusiveMaximum": 8}"#,
            valid: ["-15", "-9", "-1", "0", "7"],
            invalid: ["-16", "8", "-20", "-100"]),
        SchemaCase(
            #"{"type": "integer", "minimum": 0.5, "maximum": 9007199254740991}"#,
            valid: ["1", "900719925474099"],
            invalid: ["0", "-1"]),
        SchemaCase(
            #"{"type": "integer", "minimum": 1000000000000000}"#, valid: ["1000000000000000"],
            invalid: ["999"]),
        SchemaCase(
            #"{"type": "integer", "multipleOf": 7, "minimum": 1}"#, valid: ["7", "14", "700"],
            invalid: ["0", "8", "-7"]),
        SchemaCase(
            #"{"type": "number", "multipleOf": 5}"#, valid: ["0", "-5", "15"], invalid: ["4", "5.5", "1e1"]),
        SchemaCase(
            #"{"type": "number", "minimum": 0, "maximum": 1}"#, valid: ["0", "0.0", "1", "1.0", "0.999"],
            invalid: ["1.01", "-0.1", "2", "1.0000001", "-1"]),
        SchemaCase(
            #"{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.25}"#,
            valid: ["0.001", "0.2", "0.2499"], invalid: ["0", "0.0", "0.25", "0.3", "0.250", "-0.0"]),
        SchemaCase(
            #"{"type": "number", "minimum": -273.15}"#, valid: ["-273.15", "-273", "0", "1000000", "-0.5"],
            invalid: ["-273.151", "-273.2", "-300"]),
        SchemaCase(
            #"{"type": ["string", "null"], "maxLength": 2}"#, valid: ["null", #""""#, #""ab""#],
            invalid: [#""abc""#, "1"]),
        SchemaCase(#"{"type": "string", "nullable": true}"#, valid: ["null", #""a""#], invalid: ["1"]),
        SchemaCase(
            #"{"const": {"a": [1, "é\n"], "b": null}}"#, valid: [#"{"a":[1,"é\n"],"b":null}"#],
            invalid: [#"{"a":[1,"e"],"b":null}"#, "{}"]),
        SchemaCase(
            #"{"enum": ["red", "green", 5, 1.5, null, "re"]}"#,
            valid: [#""red""#, #""green""#, "5", "1.5", "null", #""re""#],
            invalid: [#""r""#, "55", #""blue""#]),
        SchemaCase(
            #"{"type": "string", "enum": ["a", 1, "abcd"], "maxLength": 3}"#, valid: [#""a""#],
            invalid: ["1", #""abcd""#]),
    ]

    static let strings = [
        SchemaCase(
            #"{"type": "string"}"#,
            valid: [#""""#, #""a\"\\\/\b\f\n\r\t""#, #""日本😀""#, #""\u00e9\uD83D\ude00""#],
            invalid: [#""\x""#, #""\u12""#, #""\ud83d""#, #""\ude00""#, "\"\t\"", #""\ud83dx""#, "a"]),
        SchemaCase(
            #"{"type": "string", "minLength": 2, "maxLength": 3}"#,
            valid: [#""ab""#, #""日本語""#, #""😀\n""#, #""\ud83d\ude00a""#],
            invalid: [#""a""#, #""abcd""#, #""😀""#, #""""#, #""\ud83d\ude00""#]),
        SchemaCase(
            #"{"type": "string", "minLength": 3}"#, valid: [#""abc""#, #""abcdefgh""#], invalid: [#""ab""#]),
        SchemaCase(
            #"{"type": "string", "pattern": "^[A-Z]{2,3}-\\d+$"}"#, valid: [#""AB-1""#, #""ABC-0042""#],
            invalid: [#""A-1""#, #""ABCD-1""#, #""AB-""#, #""AB-1 ""#]),
        SchemaCase(
            #"{"type": "string", "pattern": "b+"}"#, valid: [#""b""#, #""abc""#, #""é\nb\"""#],
            invalid: [#""""#, #""ac""#]),
        SchemaCase(
            #"{"type": "string", "pattern": "^a|b$"}"#, valid: [#""a""#, #""axx""#, #""xxb""#],
            invalid: [#""xa""#, #""bx""#]),
        SchemaCase(
            #"{"type": "string", "pattern": "^[ab]*$", "minLength": 2, "maxLength": 4}"#,
            valid: [#""ab""#, #""bbbb""#], invalid: [#""a""#, #""ababa""#, #""ac""#]),
        SchemaCase(
            #"{"type": "string", "pattern": "^\"\\\\[\\t\\x01]$"}"#, valid: [#""\"\\\t""#, #""\"\\\u0001""#],
            invalid: [#""\"\\""#]),
        SchemaCase(
            #"{"allOf": [{"type": "string", "pattern": "^a"}, {"pattern": "z$"}, {"maxLength": 4}]}"#,
            valid: [#""az""#, #""abcz""#], invalid: [#""a""#, #""abcdz""#]),
    ]

    static let arrays = [
        SchemaCase(
            #"{"type": "array", "items": {"type": "integer"}}"#, valid: ["[]", "[1]", "[1, 2,3]"],
            invalid: ["[", "[1,]", "[\"a\"]", "[1  ]", "[ 1]", "[1,  2]"]),
        SchemaCase(
            #"{"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "maxItems": 3}"#,
            valid: [#"["a"]"#, #"["a","b","a"]"#], invalid: ["[]", #"["a","a","a","a"]"#]),
        SchemaCase(
            #"{"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": true, "minItems": 1}"#,
            valid: [#"["b"]"#, #"["c","a","b"]"#], invalid: ["[]", #"["a","a"]"#, #"["a","b","a"]"#]),
        SchemaCase(
            #"{"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}]}"#,
            valid: ["[]", #"["x"]"#, #"["x",true]"#], invalid: ["[true]", #"["x",true,1]"#]),
        SchemaCase(
            #"""
            {"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "integer"}, "minItems": 2}
            """#,
            valid: ["[null,1]", "[null,1,2,3]"], invalid: ["[null]", "[1,2]", "[null,null]"]),
        SchemaCase(
            #"{"type": "array", "prefixItems": [{"type": "null"}], "items": false}"#,
            valid: ["[]", "[null]"],
            invalid: ["[null,1]"]),
        SchemaCase(
            #"""
            {"type": "array", "items": {"type": "array", "items": {"type": "number"}, "maxItems": 2},
            "maxItems": 2}
            """#,
            valid: ["[[],[1,2.5]]"], invalid: ["[[1,2,3]]", "[[],[],[]]"]),
    ]

    static let objects = [
        SchemaCase(
            #"""
            {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"], "additionalProperties": false}
            """#,
            valid: [#"{"name":"x","age":3}"#, #"{"name": "x", "age": 3}"#],
            invalid: ["{}", #"{"name":"x"}"#, #"{"age":3,"name":"x"}"#, #"{"name":"x","age":3,"b":1}"#]),
        SchemaCase(
            #"""
            {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"},
            "c": {"type": "integer"}}, "required": ["b"]}
            """#,
            valid: [#"{"b":1}"#, #"{"a":1,"b":2}"#, #"{"b":1,"c":2}"#, #"{"a":1,"b":2,"c":3}"#],
            invalid: ["{}", #"{"a":1}"#, #"{"a":1,"c":2}"#, #"{"b":1,}"#, #"{,"b":1}"#, #"{"b":1,"b":2}"#]),
        SchemaCase(
            #"{"type": "object", "additionalProperties": {"type": "boolean"}}"#,
            valid: ["{}", #"{"x":true}"#, #"{"x":true, "é\"":false}"#], invalid: [#"{"x":1}"#]),
        SchemaCase(
            #"""
            {"type": "object", "properties": {"ab": {"type": "integer"}},
            "additionalProperties": {"type": "null"}}
            """#,
            valid: [#"{"ab":1}"#, #"{"ab":1,"a":null,"abc":null}"#, #"{"b":null}"#, #"{"":null}"#],
            invalid: [#"{"ab":null}"#, #"{"a":1}"#, #"{"\u0061b":null}"#, #"{"x":null,"ab":null}"#]),
        SchemaCase(
            #"""
            {"type": "object", "patternProperties": {"^n_": {"type": "integer"}, "_s$": {"enum": ["x", 7]}},
            "additionalProperties": false}
            """#,
            valid: [#"{"n_a":1}"#, #"{"a_s":"x"}"#, #"{"n_s":7}"#],
            invalid: [#"{"n_s":"x"}"#, #"{"n_s":1}"#, #"{"n":1}"#, #"{"n_a":"x"}"#]),
        SchemaCase(
            #"""
            {"type": "object", "properties": {"n_1": {"maximum": 5}},
            "patternProperties": {"^n_": {"type": "integer"}}, "required": ["n_1", "n_2"]}
            """#,
            valid: [#"{"n_1":3,"n_2":100}"#],
            invalid: [#"{"n_1":9,"n_2":1}"#, #"{"n_1":"a","n_2":1}"#, #"{"n_1":1}"#]),
        SchemaCase(
            #"""
            {"type": "object", "propertyNames": {"pattern": "^[a-c]{1,2}$"},
            "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2}
            """#,
            valid: [#"{"a":1}"#, #"{"a":1,"bc":2}"#], invalid: ["{}", #"{"d":1}"#, #"{"a":1,"b":2,"c":3}"#]),
        SchemaCase(
            #"""
            {"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}},
            "minProperties": 2}
            """#,
            valid: [#"{"a":1,"b":2}"#, #"{"b":2,"c":3}"#, #"{"a":1,"b":2,"c":3}"#],
            invalid: ["{}", #"{"b":2}"#]),
        SchemaCase(
            #"{"properties": {"a": {"type": "string"}}, "required": ["a"]}"#, valid: [#"{"a":""}"#],
            invalid: ["{}", #"{"a":1}"#]),
        SchemaCase(
            #"{"type": "object", "required": ["x"]}"#, valid: [#"{"x":1}"#, #"{"x":[],"y":{}}"#],
            invalid: ["{}"]),
        SchemaCase(
            #"""
            {"type": "object", "properties": {"\u00e9": {"const": 1}, "e\u0301": {"const": 2},
            "q\"": {"const": 3}}, "required": ["\u00e9", "e\u0301"]}
            """#,
            valid: ["{\"\u{e9}\":1,\"e\u{301}\":2}", "{\"\u{e9}\":1,\"e\u{301}\":2,\"q\\\"\":3}"],
            invalid: ["{\"\u{e9}\":1}", "{\"e\u{301}\":2,\"\u{e9}\":1}"]),
    ]

    static let combinations = [
        SchemaCase(
            #"{"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}, {"type": "null"}]}"#,
            valid: ["12", #""a""#, "null"], invalid: [#""ab""#, "true"]),
        SchemaCase(
            #"""
            {"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}},
            "required": ["kind"]}, {"type": "object", "properties": {"kind": {"const": "b"},
            "y": {"type": "string"}}, "required": ["kind", "y"]}]}
            """#,
            valid: [#"{"kind":"a"}"#, #"{"kind":"a","x":1}"#, #"{"kind":"b","y":"q"}"#],
            invalid: [#"{"kind":"b"}"#, #"{"kind":"a","y":"q"}"#, #"{"kind":"c"}"#]),
        SchemaCase(
            #"""
            {"oneOf": [{"properties": {"kind": {"const": "a"}}, "type": "object"},
            {"properties": {"kind": {"const": "b"}}, "type": "object"}, {"type": "null"}]}
            """#,
            valid: [#"{"kind":"a"}"#, #"{"kind":"b"}"#, "null"], invalid: ["{}", #"{"kind":"c"}"#]),
        SchemaCase(
            #"""
            {"oneOf": [{"type": "integer", "maximum": 4}, {"type": "integer", "minimum": 5},
            {"type": "string"}]}
            """#,
            valid: ["4", "5", #""""#], invalid: ["1.5"]),
        SchemaCase(
            #"""
            {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string"}, "a": {"minimum": 2}}}]}
            """#,
            valid: [#"{"a":2}"#, #"{"a":5,"b":""}"#], invalid: ["{}", #"{"a":1}"#, #"{"b":"","a":2}"#]),
        SchemaCase(
            #"""
            {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
            """#,
            valid: [#"{"a":1}"#, #"{"b":1}"#, #"{"a":1,"b":2}"#], invalid: ["{}"]),
        SchemaCase(
            #"""
            {"anyOf": [{"type": "object", "properties": {"a": {"type": "array",
            "items": {"type": "integer"}}}, "required": ["a"]}, {"type": "object",
            "properties": {"a": {"type": "array", "items": {"type": "string"}}, "b": {"type": "null"}},
            "required": ["a", "b"]}]}
            """#,
            valid: [#"{"a":[]}"#, #"{"a":[1]}"#, #"{"a":["x"],"b":null}"#, #"{"a":[],"b":null}"#],
            invalid: [#"{"a":["x"]}"#, #"{"a":[1],"b":null}"#]),
        SchemaCase(
            #"{"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "minLength": 5}]}"#,
            valid: [#""ab""#, #""bbbbb""#], invalid: [#""b""#, #""bbbb""#]),
        SchemaCase(
            ##"""
            {"$defs": {"p": {"type": "integer", "minimum": 0}}, "type": "object",
            "properties": {"x": {"$ref": "#/$defs/p", "maximum": 9}, "y": {"$ref": "#/$defs/p"}},
            "required": ["x", "y"]}
            """##,
            valid: [#"{"x":9,"y":10}"#], invalid: [#"{"x":10,"y":1}"#, #"{"x":1,"y":-1}"#]),
    ]

    static let recursion = [
        SchemaCase(
            ##"""
            {"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["v"],
            "additionalProperties": false}}, "$ref": "#/$defs/node"}
            """##,
            valid: [#"{"v":1}"#, #"{"v":1,"children":[{"v":2},{"v":3,"children":[]}]}"#],
            invalid: ["{}", #"{"v":1,"children":[{}]}"#]),
        SchemaCase(
            ##"""
            {"definitions": {"list": {"anyOf": [{"type": "null"}, {"type": "object",
            "properties": {"next": {"$ref": "#/definitions/list"}}, "required": ["next"]}]}},
            "$ref": "#/definitions/list"}
            """##,
            valid: ["null", #"{"next":{"next":null}}"#], invalid: ["{}", #"{"next":{}}"#]),
        SchemaCase(
            ##"""
            {"$defs": {"e": {"oneOf": [{"type": "number"}, {"type": "object",
            "properties": {"op": {"enum": ["+", "*"]}, "l": {"$ref": "#/$defs/e"},
            "r": {"$ref": "#/$defs/e"}}, "required": ["op", "l", "r"], "additionalProperties": false}]}},
            "$ref": "#/$defs/e"}
            """##,
            valid: ["1", #"{"op":"+","l":1,"r":{"op":"*","l":2,"r":3}}"#],
            invalid: [#"{"op":"-","l":1,"r":2}"#]),
        SchemaCase(
            ##"""
            {"type": "object", "properties": {"self": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
            "required": ["self"]}
            """##,
            valid: [#"{"self":null}"#, #"{"self":{"self":null}}"#], invalid: ["{}"]),
    ]
}
