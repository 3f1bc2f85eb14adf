// Rules that templates and workflows share: retries, memoization, locks.

import Text

extension ValidationContext {
    func checkRetryStrategy(
        _ json: JSONValue, at path: FieldPath, scope: Scope, into findings: inout Findings
    ) {
        let retry = RetryStrategy(json)
        if let limit = retry.limit, !Tag.isIn(limit), (Int(limit) ?? -1) < 0 {
            findings.error(
                "retryStrategy.limit '\(limit)' is not a whole number", at: path["limit"],
                remedy: "write how often to try again, such as 3, or a tag")
        }
        if let policy = retry.retryPolicy, !policy.isEmpty, !Tag.isIn(policy) {
            let policies = ["Always", "OnFailure", "OnError", "OnTransientError"]
            if !policies.contains(policy) {
                findings.error(
                    "\(policy) is not a valid RetryPolicy", at: path["retryPolicy"],
                    remedy: remedy(for: policy, among: policies, called: "policies"))
            }
        }
        if let expression = retry.expression, !expression.isEmpty {
            checkExpression(expression, at: path["expression"], scope: scope, into: &findings)
        }
        if let backoff = retry.backoff { checkBackoff(backoff, at: path["backoff"], into: &findings) }
    }

    private func checkBackoff(
        _ backoff: RetryStrategy.Backoff, at path: FieldPath, into findings: inout Findings
    ) {
        if (backoff.duration ?? "").isEmpty {
            findings.error(
                "no base duration specified for retryStrategy", at: path,
                remedy: "write duration: the wait before the first retry, such as 10s")
        }
        for (key, value) in [
            ("duration", backoff.duration), ("cap", backoff.cap), ("maxDuration", backoff.maxDuration),
        ] {
            guard let value, !value.isEmpty, !Durations.isSecondsOrGo(value) else { continue }
            findings.error(
                "unable to parse '\(value)' as a duration", at: path[key], remedy: Durations.secondsOrGoRemedy
            )
        }
        if let factor = backoff.factor, !factor.isEmpty, !Tag.isIn(factor), Double(factor) == nil {
            findings.error("backoff.factor '\(factor)' is not a number", at: path["factor"])
        }
    }

    func checkMemoize(_ memoize: Memoize, at path: FieldPath, into findings: inout Findings) {
        if memoize.key.isEmpty {
            findings.error(
                "memoize.key is required", at: path,
                remedy: "write key: a text that names the inputs, with tags")
        } else if !Tag.isIn(memoize.key), let problem = NameRule.field.problem(with: memoize.key) {
            findings.error(
                "memoize.key '\(memoize.key)' is an invalid cache key: \(problem)", at: path["key"])
        }
        if memoize.cache.isEmpty {
            findings.error(
                "memoize.cache needs a name", at: path, remedy: "write cache: {configMap: {name: NAME}}")
        }
        if let age = memoize.maxAge, !age.isEmpty, !Durations.isGo(age) {
            findings.error(
                "memoize.maxAge '\(age)' is not a duration", at: path["maxAge"],
                remedy: "write a number with a unit, such as 30m or 24h")
        }
    }

    func checkSynchronization(_ json: JSONValue, at path: FieldPath, into findings: inout Findings) {
        let fields = Fields(json)
        let synchronization = Synchronization(json)
        for (index, mutex) in synchronization.mutexes.enumerated() where mutex.name.isEmpty {
            findings.error("mutex name is required", at: path["mutexes"][index], remedy: "write name: ...")
        }
        for (index, semaphore) in synchronization.semaphores.enumerated() {
            let path = path["semaphores"][index]
            let database = Fields(fields.list("semaphores")[index]).object("database")
            switch (semaphore.configMap, database) {
            case (nil, nil):
                findings.error(
                    "a semaphore needs configMapKeyRef or database", at: path,
                    remedy: "write configMapKeyRef: {name: ..., key: ...}: where its limit stands")
            case (.some, .some):
                findings.error(
                    "a semaphore cannot have both configMapKeyRef and database", at: path["database"],
                    remedy: "keep one of them")
            case (let reference?, nil):
                checkKey(
                    reference, isOptional: reference.optional, at: path["configMapKeyRef"], into: &findings)
            case (nil, .some):
                if (semaphore.databaseKey ?? "").isEmpty {
                    findings.error("the semaphore's database key is required", at: path["database"])
                }
            }
        }
        for (old, new) in [("mutex", "mutexes"), ("semaphore", "semaphores")] where fields[old] != nil {
            findings.error(
                "synchronization.\(old) is no longer known", at: path[old], remedy: "write \(new): a list")
        }
        if synchronization.isEmpty, fields["mutex"] == nil, fields["semaphore"] == nil {
            findings.error(
                "synchronization names no lock", at: path,
                remedy: "write mutexes: [{name: ...}] or semaphores")
        }
    }
}
