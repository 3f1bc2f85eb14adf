// swift-tools-version: 6.2
// The map of the house: targets bottom-up. What an arrow reaches may be imported directly.
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
    // Names of types are not looked up at run time where the compiler knows the types: each such look-up that needs a
    // conformance walks those of the whole program, and a start has dozens of them.
    .unsafeFlags(
        ["-Xfrontend", "-disable-concrete-type-metadata-mangled-name-accessors"],
        .when(configuration: .release)),
]

// A supervisor that is copied next to any command must not need the machine's Swift or C library.
let staticExecutable = ["-static-executable"]

let package = Package(
    name: "martlet",
    products: [.executable(name: "martlet", targets: ["martlet"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client.git", exact: "1.37.0"),
    ],
    targets: [
        // Engine, bottom-up.
        .target(name: "Text", swiftSettings: strict),
        .target(name: "CLinux", cSettings: [.define("_GNU_SOURCE"), .unsafeFlags(["-O2"])]),
        .target(
            name: "WorkflowLanguage",
            dependencies: [
                "Text", .product(name: "Yams", package: "Yams"),
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .target(name: "Scheduling", dependencies: ["WorkflowLanguage", "Text"], swiftSettings: strict),
        .target(
            name: "Persistence",
            dependencies: [
                "Scheduling", "WorkflowLanguage", "Text", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            resources: [.embedInCode("migrations")], swiftSettings: strict),
        .target(name: "CCurl"),
        .target(
            name: "Artifacts",
            dependencies: [
                "WorkflowLanguage", "Text", "CLinux", "CCurl",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .target(
            name: "Executors",
            dependencies: ["Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CLinux"],
            swiftSettings: strict),
        .target(
            name: "Controller",
            dependencies: [
                "Persistence", "Executors", "Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CLinux",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .target(
            name: "Kubernetes",
            dependencies: [
                "Executors", "Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CLinux",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict),
        // Models, bottom-up.
        .target(
            name: "CKernels",
            cSettings: [
                .define("_GNU_SOURCE"), .unsafeFlags(["-O3", "-ffp-contract=off", "-fno-math-errno"]),
            ]),
        .target(name: "Tensors", dependencies: ["CKernels", "Text"], swiftSettings: strict),
        .target(name: "Models", dependencies: ["Tensors", "CKernels", "Text"], swiftSettings: strict),
        .target(
            name: "Inference", dependencies: ["Models", "Tensors", "CKernels", "Text"], swiftSettings: strict),
        .target(name: "CCompression", cSettings: [.define("_GNU_SOURCE"), .unsafeFlags(["-O2"])]),
        .target(name: "Tables", dependencies: ["Text", "CCompression"], swiftSettings: strict),
        .target(
            name: "Evaluation",
            dependencies: [
                "Inference", "Models", "Tensors", "CKernels", "Tables", "Text",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .target(
            name: "Training",
            dependencies: [
                "Inference", "Models", "Tensors", "Text", .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        // Where both halves meet.
        .target(name: "CWebPage", exclude: ["write_list.sh"], cSettings: [.unsafeFlags(["-std=c23"])]),
        .target(
            name: "WebServer",
            dependencies: [
                "Controller", "Persistence", "Executors", "Scheduling", "Artifacts", "WorkflowLanguage",
                "Inference", "Models", "Text", "CLinux", "CWebPage",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "Supervisor", dependencies: ["CLinux"],
            swiftSettings: strict + [.unsafeFlags(staticExecutable)],
            linkerSettings: [.unsafeFlags(staticExecutable)]),
        .executableTarget(
            name: "martlet",
            dependencies: [
                "WebServer", "Training", "Evaluation", "Tables", "Inference", "Models", "Tensors",
                "Controller", "Kubernetes", "Persistence", "Executors", "Scheduling", "Artifacts",
                "WorkflowLanguage", "Text",
                "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict,
            // At a fixed address there is nothing to relocate, which takes milliseconds of every start. Nobody looks up
            // the program's own names either, and the Swift runtime walks all that are exported when it starts.
            linkerSettings: [
                .unsafeFlags(
                    ["-Xclang-linker", "-no-pie", "-Xlinker", "--no-export-dynamic"],
                    .when(configuration: .release))
            ]),
        // Tests, one target a target.
        .target(
            name: "TestSupport", dependencies: ["Text"], path: "Tests/TestSupport", swiftSettings: strict),
        .executableTarget(
            name: "GoldenRunner",
            dependencies: ["Training", "Evaluation", "Inference", "Models", "Tensors", "CKernels", "Text"],
            path: "Tests/GoldenRunner", swiftSettings: strict),
        .testTarget(name: "TextTests", dependencies: ["Text", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "WorkflowLanguageTests", dependencies: ["WorkflowLanguage", "Text", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "SchedulingTests", dependencies: ["Scheduling", "WorkflowLanguage", "Text", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "PersistenceTests",
            dependencies: ["Persistence", "Scheduling", "WorkflowLanguage", "Text", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ArtifactsTests", dependencies: ["Artifacts", "WorkflowLanguage", "Text", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ExecutorsTests",
            dependencies: [
                "Executors", "Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CLinux", "TestSupport",
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "FakeCluster",
            dependencies: [
                "Kubernetes", "Executors", "Artifacts", "WorkflowLanguage", "Text",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Tests/FakeCluster", swiftSettings: strict),
        .testTarget(
            name: "KubernetesTests",
            dependencies: [
                "FakeCluster", "Kubernetes", "Executors", "Scheduling", "Artifacts", "WorkflowLanguage",
                "Text",
                "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ControllerTests",
            dependencies: [
                "Controller", "Persistence", "Executors", "Scheduling", "Artifacts", "WorkflowLanguage",
                "Text", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "martlet", "WebServer", "Controller", "Persistence", "Executors", "Scheduling", "Artifacts",
                "WorkflowLanguage", "Training", "Evaluation", "Tables", "Models", "Tensors",
                "Text", "TestSupport", "Kubernetes",
            ],
            swiftSettings: strict),
        .testTarget(name: "CKernelsTests", dependencies: ["CKernels", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "TensorsTests", dependencies: ["Tensors", "CKernels", "Text", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ModelsTests", dependencies: ["Models", "Tensors", "Text", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "InferenceTests",
            dependencies: ["Inference", "Models", "Tensors", "CKernels", "Text", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "TrainingTests",
            dependencies: ["Training", "Models", "Tensors", "CKernels", "Text", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "TablesTests", dependencies: ["Tables", "CCompression", "Text", "TestSupport"],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "EvaluationTests",
            dependencies: [
                "Evaluation", "Inference", "Models", "Tensors", "Tables", "Text", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "WebServerTests",
            dependencies: [
                "WebServer", "Controller", "Persistence", "Executors", "Scheduling", "Artifacts",
                "WorkflowLanguage", "Inference", "Models", "Text", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ]
)
