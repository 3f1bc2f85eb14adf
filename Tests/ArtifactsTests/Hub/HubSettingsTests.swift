// Variables of the environment and what they come to.

import Testing

@testable import Artifacts

struct HubSettingsTests {
    @Test(
        "The caches lie where the tools of each hub look for them",
        arguments: [
            (["HOME": "/u"], "/u/.cache/huggingface/hub", "/u/.cache/modelscope/hub"),
            (["HOME": "/u", "XDG_CACHE_HOME": "/c"], "/c/huggingface/hub", "/c/modelscope/hub"),
            (["HOME": "/u", "HF_HOME": "/h", "MODELSCOPE_CACHE": "/m"], "/h/hub", "/m"),
            (["HOME": "/u", "HF_HOME": "/h", "HF_HUB_CACHE": "~/x"], "/u/x", "/u/.cache/modelscope/hub"),
            (["HOME": "/u", "HUGGINGFACE_HUB_CACHE": "/old"], "/old", "/u/.cache/modelscope/hub"),
        ])
    func caches(environment: [String: String], hub: String, scope: String) {
        let settings = HubSettings { environment[$0] }
        #expect(settings.huggingFaceCache == hub)
        #expect(settings.modelScopeCache == scope)
    }

    @Test("The token goes to endpoints that the user named, not to the mirrors of a list")
    func tokens() {
        let environment = [
            "HF_ENDPOINT": "http://own/", "MARTLET_HF_MIRRORS": "mirror.example, http://own,http://b",
            "HF_TOKEN": " hf_x\n",
        ]
        let settings = HubSettings { environment[$0] }
        #expect(
            settings.huggingFace == [
                .init(url: "http://own", token: "hf_x"), .init(url: "https://mirror.example"),
                .init(url: "http://b"),
            ])
        let given = HubSettings(endpoints: ["http://a,http://b/"], token: "t") { environment[$0] }
        #expect(
            given.huggingFace == [.init(url: "http://a", token: "t"), .init(url: "http://b", token: "t")])
    }

    @Test("A token comes from a file where no variable has one, and one with a line break is not sent")
    func tokenFiles() throws {
        let directory = try TemporaryDirectory()
        try directory.write("hf_file\n", to: "token")
        let file = ["HF_HOME": directory.path]
        #expect(HubSettings { file[$0] }.huggingFace.first?.token == "hf_file")
        #expect(
            HubSettings { ["HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"][$0] ?? file[$0] }.huggingFace.first?.token
                == nil)
        #expect(HubSettings { ["HF_TOKEN": "a\r\nX: y"][$0] }.huggingFace.first?.token == nil)
        #expect(
            HubSettings { ["MODELSCOPE_HOME": directory.path][$0] }.modelScope
                == [.init(url: "https://www.modelscope.cn", token: "hf_file")])
    }

    @Test(
        "ModelScope's address may lack its scheme",
        arguments: [
            (["MODELSCOPE_DOMAIN": "www.modelscope.ai"], "https://www.modelscope.ai"),
            (["MODELSCOPE_ENDPOINT": "http://127.0.0.1:9/", "MODELSCOPE_DOMAIN": "x"], "http://127.0.0.1:9"),
            ([:], "https://www.modelscope.cn"),
        ])
    func domains(environment: [String: String], url: String) {
        #expect(HubSettings { environment[$0] }.modelScope.map(\.url) == [url])
    }

    @Test(
        "Offline is what the variables of these tools say",
        arguments: [("1", true), ("TRUE", true), ("0", false), ("", false)])
    func offline(value: String, isOffline: Bool) {
        #expect(HubSettings { ["HF_HUB_OFFLINE": value][$0] }.isOffline == isOffline)
    }
}
