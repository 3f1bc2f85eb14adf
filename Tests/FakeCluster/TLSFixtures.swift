// Certificates and keys for tests of TLS, good from 2020 until 2120 and for nothing else. Made with OpenSSL 3.0.19:
// keys by `ecparam -name prime256v1 -genkey` and `genrsa -traditional 2048`, the other forms of them by
// `pkcs8 -topk8 -nocrypt`, certificates by `ca -startdate -enddate` with the authority's key, which was thrown away.

package enum TLSFixtures {
    /// Vouches for all others here.
    package static let authority = """
        -----BEGIN CERTIFICATE-----
        MIIBYjCCAQigAwIBAgICEAAwCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMZmFrZSBj
        bHVzdGVyMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAXMRUwEwYD
        VQQDDAxmYWtlIGNsdXN0ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARqnVa6
        atwCtZB61GaazevZbzjEotb0hi7b/CwIbgp927U1TK5H30bCX1kRSX+O52D2e1UG
        +QsTLYvzUH2eBPpJo0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIC
        BDAdBgNVHQ4EFgQUpQcT48NfSsHrT3ILp0dinQp5A6UwCgYIKoZIzj0EAwIDSAAw
        RQIhAILA7qyJP7PhXFUScaQlPZ0itRbKabP91gVxWyknuSHXAiAAsUIn3DGZOxU8
        4ntZjTmK8VLEl5j6UlG7SHa8Mm2NGA==
        -----END CERTIFICATE-----

        """

    /// Vouches for none.
    package static let otherAuthority = """
        -----BEGIN CERTIFICATE-----
        MIIBaTCCAQ6gAwIBAgICEAEwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPYW5vdGhl
        ciBjbHVzdGVyMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAaMRgw
        FgYDVQQDDA9hbm90aGVyIGNsdXN0ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
        AASEMS8F3EHyNqDmvfA2igthxeI7SZqge0poJQbfIC+hZyap1APgVipSmyhc8Km9
        VuCch68CWHCqfLF6ccImMP7Wo0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB
        /wQEAwICBDAdBgNVHQ4EFgQURcxrNYfKuOUee/fwSUjIL/5m0TswCgYIKoZIzj0E
        AwIDSQAwRgIhAJMYFkJrRR4d5wgE/EfTZjBTne7utizd5slnOIa/BkNuAiEAqWgX
        yCa3bWSRsiMf3T/eFr/2NOk9nOiBE/KuS/8KbNs=
        -----END CERTIFICATE-----

        """

    /// A server at 127.0.0.1.
    package static let addressChain = """
        -----BEGIN CERTIFICATE-----
        MIIBijCCATCgAwIBAgICEAIwCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMZmFrZSBj
        bHVzdGVyMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAOMQwwCgYD
        VQQDDANhcGkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQexWv7qDPuDHkOa+j3
        zgLY0095/6G6tYcKyzLu0VLk8JT7a1lIgVUXG57jGTMaAPuHW6LpYy8lXus6sZDw
        aqEFo3MwcTAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwEwYDVR0lBAwwCgYI
        KwYBBQUHAwEwHQYDVR0OBBYEFOEDBXmGriPycb8z9eMuLUJuFjYUMB8GA1UdIwQY
        MBaAFKUHE+PDX0rB609yC6dHYp0KeQOlMAoGCCqGSM49BAMCA0gAMEUCIDKTISnx
        iLkqz0peyP7qwYjd5IAyrET1n4Hd5Cv1hHxxAiEA9mCK+RhGHmicknSk0YHm0Wec
        6qE14bAmslZ1bD9tWbk=
        -----END CERTIFICATE-----

        """

    package static let addressKey = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIEnTD7D0prgwx9xSLuIXaKUNsOpz1vyUVS+3rV9pK7q2oAoGCCqGSM49
        AwEHoUQDQgAEHsVr+6gz7gx5Dmvo984C2NNPef+hurWHCssy7tFS5PCU+2tZSIFV
        Fxue4xkzGgD7h1ui6WMvJV7rOrGQ8GqhBQ==
        -----END EC PRIVATE KEY-----

        """

    /// A server that is only `api.cluster.test`.
    package static let namedChain = """
        -----BEGIN CERTIFICATE-----
        MIIBijCCATGgAwIBAgICEAMwCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMZmFrZSBj
        bHVzdGVyMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAOMQwwCgYD
        VQQDDANhcGkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATuJZ8mcZAovSROyXgu
        KFt3NgJTjqctbdMEcNmPC3Ag5DnYoelJd29UxJRlDatDzQG2W1bLI6pISeEORgg+
        0+wWo3QwcjAbBgNVHREEFDASghBhcGkuY2x1c3Rlci50ZXN0MBMGA1UdJQQMMAoG
        CCsGAQUFBwMBMB0GA1UdDgQWBBQ0BHaMV8qBiUeN4b+EdCwc6yZlujAfBgNVHSME
        GDAWgBSlBxPjw19KwetPcgunR2KdCnkDpTAKBggqhkjOPQQDAgNHADBEAiBFoJB0
        ExRiAi77nQ1pUqle+DLanB22turXC7fGVOfwJAIgVk8rwUJWgdjVZUzpeMzzy9jz
        SlR7C3Qa4Ui5NND32Tg=
        -----END CERTIFICATE-----

        """

    package static let namedKey = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIKenGyVTT605Tq/N76JiOCAjkwZZLlGkewijK0IznKxRoAoGCCqGSM49
        AwEHoUQDQgAE7iWfJnGQKL0kTsl4LihbdzYCU46nLW3TBHDZjwtwIOQ52KHpSXdv
        VMSUZQ2rQ80BtltWyyOqSEnhDkYIPtPsFg==
        -----END EC PRIVATE KEY-----

        """

    /// A client.
    package static let rsaChain = """
        -----BEGIN CERTIFICATE-----
        MIICUzCCAfigAwIBAgICEAQwCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMZmFrZSBj
        bHVzdGVyMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAnMQwwCgYD
        VQQDDANyc2ExFzAVBgNVBAoMDnN5c3RlbTptYXN0ZXJzMIIBIjANBgkqhkiG9w0B
        AQEFAAOCAQ8AMIIBCgKCAQEAmcCWTq23IeVc5OmkKdR+C2Ps2LHWTgNJ3mpJCK4a
        rXK4ONXddwxnGI0HRZdC+6uZWkr5vIMJevjwPpExGDprX3SM/DzeL1aSKesen84c
        ShxOGUwYbk1pH74+4qBCpbWZF45nTk2SWmcgl/9cSQHCOKgiwYxq+tmfb+4tFcMy
        4S6AOQY7G00NV980rsYC/Y/KSAZYDeW2iRhLPsl4RqqXMNW1bfspYra7FFCtb97y
        Ues+D20CiKbE1G/kRMUcLKzPe/1fpfdShPPxkSIyyJCAnQgUQt+VoTjsBpcZ9bPl
        qPq7OCtgJ/Utev/aiuZYGsDcftvaROYbDWE93wHM3miHkQIDAQABo1cwVTATBgNV
        HSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4EFgQUltafrMxyo56gLPjIcne4RU3cvhYw
        HwYDVR0jBBgwFoAUpQcT48NfSsHrT3ILp0dinQp5A6UwCgYIKoZIzj0EAwIDSQAw
        RgIhAOuMlmSPsmrHX2J09DxX3F98r0Zx70qyb439uiBeDR38AiEA2ALIDPFA1TwR
        wzEZfl2CkoTt31moE0D3UDmCPeJHOpI=
        -----END CERTIFICATE-----

        """

    package static let rsaPKCS1 = """
        -----BEGIN RSA PRIVATE KEY-----
        MIIEowIBAAKCAQEAmcCWTq23IeVc5OmkKdR+C2Ps2LHWTgNJ3mpJCK4arXK4ONXd
        dwxnGI0HRZdC+6uZWkr5vIMJevjwPpExGDprX3SM/DzeL1aSKesen84cShxOGUwY
        bk1pH74+4qBCpbWZF45nTk2SWmcgl/9cSQHCOKgiwYxq+tmfb+4tFcMy4S6AOQY7
        G00NV980rsYC/Y/KSAZYDeW2iRhLPsl4RqqXMNW1bfspYra7FFCtb97yUes+D20C
        iKbE1G/kRMUcLKzPe/1fpfdShPPxkSIyyJCAnQgUQt+VoTjsBpcZ9bPlqPq7OCtg
        J/Utev/aiuZYGsDcftvaROYbDWE93wHM3miHkQIDAQABAoIBACVEmspgbiLvsygj
        f/DJunGtW3QdCyqmvmmEjsZlWT8QrxnLsR5Rqc24JXqXUxuouQe7Y7RveMVPgQBR
        djp+spcVK7VaVarYy54QiUBIF/BY0w9rtAJMjj4tAZYyLWV4Uq70jBLdV6vFEo/1
        TFu/6uGL07zhee7rACwD6fa79WHCYOzeJaVP0GMhui51WrUbVwgqvA0J9Qae/5yy
        wpkTmcLgz9wKFltnr8QP6NfIWHWeVArsvWZulNnez+qksaMaJYwa/F9Tp7iQg5qr
        jm8klo+qcPB18+oWOcxtR2Ltf+SwF1k2xRON8vN09hPrgCD5w8DgITj4t/WlJngW
        Gk+dBKkCgYEA0XulrrtvRzGTDppjULILZMc2VHDyOgexzQDR5KYMBGta+j4O/qjJ
        nPcxSyXGy5YEzI6bYbDtcRQh+9/u2KIebHtEwmIJN85aaNFEggiXW/ZTvVSqIRxy
        PX7Zm8stmT++Wy4Htx8KNhy7HP1P4ZlWLeS1uIMvvMV7zfVsnvTU3k0CgYEAu+TZ
        uCDU9KrYGvUCJ6ndE6+AnlLovIOn90f17ZoW6skcvBeQqF6ZmOJlQOMnmAyqYQNd
        U6niWip2HnQWnalS5xR4TnTU5CKb4mFENNYApD18ydF4B5IDOIgHbtZMuKeaNs/K
        txL5MB6v2bNN7VL/jT28zO6aQZb23THXuq8xmFUCgYA3tP32XXnWIOTOeVf32aEW
        B7P2+KIxtGIf9hvbBh0j/7iN23r5VcFnsIS3SzB2a0qTa0j+zaIW9Beld4N4sIQO
        rSk32AJDiOiZ/yyMt+QoXHUgYCdt7raii90qhPl3S3A/pxn+JI7+nN1VdDeN8szs
        H2oDyz8ioBGwT5e3HbyN8QKBgAiNXxeRbv//8rwvYLy7b5OgzmLmdS93cqK/xMLe
        26IuKz+odu4i+CzMST2N2VSDZxHpXEsdlW7zNdMnB4x/k4VvGhbAHJyRsrS4Jqmd
        AAR5w/9PqH33uGvPTT9PQ8i34D4UcS6qD2uQSgLHtYlS2Mzt/XT6e0z2+R+SUDZw
        GPrNAoGBALwyHU5VScy5KmkkHxjqz1kS/y480DoLjFd0RO7e0vRwuB+29SRSskLG
        giIVVsphIsSV05sd6joOiVgIKeA2tNsGWk5GqJ8wlErEwHP0RUB+Er+ayizZug/w
        qhh6Thu9m1MHk6Ph69SjjcmBP/Xw/c0BDOQLQ0D/jQjirIxPgZeL
        -----END RSA PRIVATE KEY-----

        """

    package static let rsaPKCS8 = """
        -----BEGIN PRIVATE KEY-----
        MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCZwJZOrbch5Vzk
        6aQp1H4LY+zYsdZOA0neakkIrhqtcrg41d13DGcYjQdFl0L7q5laSvm8gwl6+PA+
        kTEYOmtfdIz8PN4vVpIp6x6fzhxKHE4ZTBhuTWkfvj7ioEKltZkXjmdOTZJaZyCX
        /1xJAcI4qCLBjGr62Z9v7i0VwzLhLoA5BjsbTQ1X3zSuxgL9j8pIBlgN5baJGEs+
        yXhGqpcw1bVt+ylitrsUUK1v3vJR6z4PbQKIpsTUb+RExRwsrM97/V+l91KE8/GR
        IjLIkICdCBRC35WhOOwGlxn1s+Wo+rs4K2An9S16/9qK5lgawNx+29pE5hsNYT3f
        AczeaIeRAgMBAAECggEAJUSaymBuIu+zKCN/8Mm6ca1bdB0LKqa+aYSOxmVZPxCv
        GcuxHlGpzbglepdTG6i5B7tjtG94xU+BAFF2On6ylxUrtVpVqtjLnhCJQEgX8FjT
        D2u0AkyOPi0BljItZXhSrvSMEt1Xq8USj/VMW7/q4YvTvOF57usALAPp9rv1YcJg
        7N4lpU/QYyG6LnVatRtXCCq8DQn1Bp7/nLLCmROZwuDP3AoWW2evxA/o18hYdZ5U
        Cuy9Zm6U2d7P6qSxoxoljBr8X1OnuJCDmquObySWj6pw8HXz6hY5zG1HYu1/5LAX
        WTbFE43y83T2E+uAIPnDwOAhOPi39aUmeBYaT50EqQKBgQDRe6Wuu29HMZMOmmNQ
        sgtkxzZUcPI6B7HNANHkpgwEa1r6Pg7+qMmc9zFLJcbLlgTMjpthsO1xFCH73+7Y
        oh5se0TCYgk3zlpo0USCCJdb9lO9VKohHHI9ftmbyy2ZP75bLge3Hwo2HLsc/U/h
        mVYt5LW4gy+8xXvN9Wye9NTeTQKBgQC75Nm4INT0qtga9QInqd0Tr4CeUui8g6f3
        R/XtmhbqyRy8F5CoXpmY4mVA4yeYDKphA11TqeJaKnYedBadqVLnFHhOdNTkIpvi
        YUQ01gCkPXzJ0XgHkgM4iAdu1ky4p5o2z8q3EvkwHq/Zs03tUv+NPbzM7ppBlvbd
        Mde6rzGYVQKBgDe0/fZdedYg5M55V/fZoRYHs/b4ojG0Yh/2G9sGHSP/uI3bevlV
        wWewhLdLMHZrSpNrSP7Nohb0F6V3g3iwhA6tKTfYAkOI6Jn/LIy35ChcdSBgJ23u
        tqKL3SqE+XdLcD+nGf4kjv6c3VV0N43yzOwfagPLPyKgEbBPl7cdvI3xAoGACI1f
        F5Fu///yvC9gvLtvk6DOYuZ1L3dyor/Ewt7boi4rP6h27iL4LMxJPY3ZVINnEelc
        Sx2VbvM10ycHjH+ThW8aFsAcnJGytLgmqZ0ABHnD/0+offe4a89NP09DyLfgPhRx
        LqoPa5BKAse1iVLYzO39dPp7TPb5H5JQNnAY+s0CgYEAvDIdTlVJzLkqaSQfGOrP
        WRL/LjzQOguMV3RE7t7S9HC4H7b1JFKyQsaCIhVWymEixJXTmx3qOg6JWAgp4Da0
        2wZaTkaonzCUSsTAc/RFQH4Sv5rKLNm6D/CqGHpOG72bUweTo+Hr1KONyYE/9fD9
        zQEM5AtDQP+NCOKsjE+Bl4s=
        -----END PRIVATE KEY-----

        """

    /// A client.
    package static let ecChain = """
        -----BEGIN CERTIFICATE-----
        MIIBbTCCAROgAwIBAgICEAUwCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMZmFrZSBj
        bHVzdGVyMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjANMQswCQYD
        VQQDDAJlYzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOzJcHyC9KM1iuIWX+LZ
        Mw+QO21SON+Q8gDyDdISrvt9FuXrhhNBTTZJtrmKudCJ37f+XU2/bgpbxaKmYmct
        nKGjVzBVMBMGA1UdJQQMMAoGCCsGAQUFBwMCMB0GA1UdDgQWBBTXt6fyXSFc6MH3
        m0qO9nZpYlc4PTAfBgNVHSMEGDAWgBSlBxPjw19KwetPcgunR2KdCnkDpTAKBggq
        hkjOPQQDAgNIADBFAiEAx7vNjMq+2rPGbJREAk1Gy2Y+9FT45puEAqqrlYU8Q0sC
        IAm9872KpBkHQ0cA7Kz/7Xbgkftn9OB9m4Uxx2ptw9MK
        -----END CERTIFICATE-----

        """

    package static let ecSEC1 = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIBTdi+oYH4CIxBijRUKrdMoauCkNgCDvXPcWxb8uNoLyoAoGCCqGSM49
        AwEHoUQDQgAE7MlwfIL0ozWK4hZf4tkzD5A7bVI435DyAPIN0hKu+30W5euGE0FN
        Nkm2uYq50Inft/5dTb9uClvFoqZiZy2coQ==
        -----END EC PRIVATE KEY-----

        """

    package static let ecPKCS8 = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFN2L6hgfgIjEGKNF
        Qqt0yhq4KQ2AIO9c9xbFvy42gvKhRANCAATsyXB8gvSjNYriFl/i2TMPkDttUjjf
        kPIA8g3SEq77fRbl64YTQU02Sba5irnQid+3/l1Nv24KW8WipmJnLZyh
        -----END PRIVATE KEY-----

        """
}
