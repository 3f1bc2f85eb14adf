// Runs one attempt of a workflow step in the directory given as the only argument, and outlives the engine.
// It ends with 0 when D/result is written, 75 when the attempt was started before, and 70 when it could not
// even say why on disk. `--probe DIR` answers on standard output which isolation works here. `--pod DIR ...
// -- COMMAND` is the same for a container of a Kubernetes pod.

import CLinux
import Glibc

/// Exit status of a supervisor that found its attempt started by another.
let alreadyStartedStatus: Int32 = 75
let internalErrorStatus: Int32 = 70
let usageStatus: Int32 = 64

func complain(_ text: String) {
    var line = "martlet-supervisor: " + text + "\n"
    line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
}

func runAttempt(at path: UnsafePointer<CChar>) -> Int32 {
    // Before anything else: a cancel that comes early must wait for the loop, not end this process.
    let signals = martlet_block_signals()
    guard let directory = AttemptDirectory(path: path) else {
        complain("cannot open the attempt's directory: \(String(cString: strerror(errno)))")
        return internalErrorStatus
    }
    switch directory.lock() {
    case .taken: break
    case .startedBefore: return alreadyStartedStatus
    case .failed(let error):
        complain("cannot lock the attempt: \(String(cString: strerror(error)))")
        return internalErrorStatus
    }
    let supervision: Supervision
    do throws(SpecError) {
        let spec = try StepSpec(directory: directory)
        supervision = Supervision(spec: spec, directory: directory, signals: signals)
    } catch {
        guard directory.markStarted() else { return alreadyStartedStatus }
        let result = StepResult(startFailure: error.text, code: 127)
        return directory.write(result: result) ? 0 : internalErrorStatus
    }
    return supervision.run()
}

if CommandLine.argc == 3, let flag = CommandLine.unsafeArgv[1], strcmp(flag, "--probe") == 0,
    let path = CommandLine.unsafeArgv[2]
{
    exit(probe(at: path))
}
if CommandLine.argc > 2, let flag = CommandLine.unsafeArgv[1], strcmp(flag, "--pod") == 0 {
    let words = (1..<Int(CommandLine.argc)).compactMap {
        CommandLine.unsafeArgv[$0].map { String(cString: $0) }
    }
    guard var step = PodStep(words) else {
        complain("usage: martlet-supervisor --pod DIRECTORY --name NAME [OPTIONS] -- COMMAND")
        exit(usageStatus)
    }
    exit(step.run())
}
guard CommandLine.argc == 2, let path = CommandLine.unsafeArgv[1] else {
    complain("usage: martlet-supervisor DIRECTORY | --probe DIRECTORY")
    exit(usageStatus)
}
exit(runAttempt(at: path))
