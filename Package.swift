// swift-tools-version: 6.2
// The map of the house: targets bottom-up. What an arrow reaches may be imported directly.
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

// A supervisor that is copied next to any command must not need the machine's Swift or C library.
let staticExecutable = ["-static-executable"]

let package = Package(
    name: "martlet",
    products: [.executable(name: "martlet", targets: ["martlet"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // Engine, bottom-up.
        .target(name: "Text", swiftSettings: strict),
        .target(name: "CSystem", cSettings: [.define("_GNU_SOURCE"), .unsafeFlags(["-O2"])]),
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
            ],
            resources: [.embedInCode("migrations")], swiftSettings: strict),
        .target(name: "CCurl"),
        .target(
            name: "Artifacts",
            dependencies: [
                "WorkflowLanguage", "Text", "CSystem", "CCurl",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .target(
            name: "Executors",
            dependencies: ["Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CSystem"],
            swiftSettings: strict),
        .target(
            name: "Controller",
            dependencies: [
                "Persistence", "Executors", "Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CSystem",
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "Supervisor", dependencies: ["CSystem"],
            swiftSettings: strict + [.unsafeFlags(staticExecutable)],
            linkerSettings: [.unsafeFlags(staticExecutable)]),
        .executableTarget(
            name: "martlet",
            dependencies: [
                "Controller", "Persistence", "Executors", "Scheduling", "Artifacts", "WorkflowLanguage",
                "Text",
                "CSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        // Tests, one target a target.
        .target(
            name: "TestSupport", dependencies: ["Text"], path: "Tests/TestSupport", swiftSettings: strict),
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
                "Executors", "Scheduling", "Artifacts", "WorkflowLanguage", "Text", "CSystem", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ControllerTests",
            dependencies: [
                "Controller", "Persistence", "Executors", "Scheduling", "WorkflowLanguage", "Text",
                "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "martlet", "Controller", "Persistence", "Executors", "Scheduling", "Artifacts",
                "WorkflowLanguage",
                "Text", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ]
)
