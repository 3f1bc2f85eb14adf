// The Python program around a program that a model wrote: it takes away what that needs not, runs it, and
// says how it ended.

/// What the harness is told, and what it answers.
enum ProgramHarness {
    /// Resident and mapped memory of the program.
    static let memoryBytes = 4 << 30
    /// Of each file that it writes.
    static let fileBytes = 64 << 20
    /// What is kept of its output.
    static let outputBytes = 64 << 10

    /// The answer for a program that came to its end.
    static let passedWord = "passed"

    /// Arguments: the program's file, seconds of processor time, and a file with a secret word, which is
    /// gone when the program begins, so that no output of the program can look like the answer. Limits are
    /// the kernel's and cannot be raised again; without a network because the process is alone in a new
    /// network namespace, where the kernel gives it one.
    static let source = """
        import ctypes, os, resource, runpy, sys

        def limit(kind, value):
            try:
                resource.setrlimit(kind, (value, value))
            except (ValueError, OSError):
                pass

        def leave_network():
            unshare = ctypes.CDLL(None, use_errno=True).unshare
            for flags in (0x40000000, 0x50000000):  # CLONE_NEWNET, with CLONE_NEWUSER
                if unshare(flags) == 0:
                    return True
            return False

        def main():
            path, seconds = sys.argv[1], int(sys.argv[2])
            with open(sys.argv[3]) as file:
                secret = file.read().strip()
            os.unlink(sys.argv[3])
            try:
                alone = leave_network()
            except (OSError, AttributeError):
                alone = False
            limit(resource.RLIMIT_AS, \(memoryBytes))
            limit(resource.RLIMIT_FSIZE, \(fileBytes))
            limit(resource.RLIMIT_CPU, seconds)
            limit(resource.RLIMIT_CORE, 0)
            limit(resource.RLIMIT_NOFILE, 256)
            sys.argv = [path]
            answer = os.dup(1)
            try:
                runpy.run_path(path, run_name="__main__")
                word = "passed"
            except SystemExit:
                word = "failed: the program ended before its tests did"
            except BaseException as error:
                text = str(error).strip().splitlines()
                word = "failed: " + type(error).__name__ + (": " + text[-1][:300] if text else "")
            try:
                sys.stdout.flush()
            except BaseException:
                pass
            line = "\\n%s %s %s\\n" % (secret, "offline" if alone else "online", word)
            os.write(answer, line.encode("utf-8", "replace"))
            os._exit(0)

        main()
        """

    /// What the harness said at the end of an output; nil if it did not come so far.
    static func answer(in output: String, secret: String) -> (isOffline: Bool, word: String)? {
        for line in output.split(whereSeparator: \.isNewline).reversed() where line.hasPrefix(secret + " ") {
            let words = line.dropFirst(secret.count + 1).split(separator: " ", maxSplits: 1)
            guard words.count == 2 else { return nil }
            return (words[0] == "offline", String(words[1]))
        }
        return nil
    }

    /// A word that nobody can guess.
    static func secret() -> String {
        var random = SystemRandomNumberGenerator()
        return "result-" + String(random.next(), radix: 36) + String(random.next(), radix: 36)
    }
}
