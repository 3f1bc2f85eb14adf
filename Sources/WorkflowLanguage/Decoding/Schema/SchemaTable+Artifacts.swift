// The fields of artifacts and of the stores that hold them.

extension SchemaTable {
    /// Artifacts and their stores.
    static let artifacts = """
        ArtifactLocation
          bool: archiveLogs
          ArtifactoryArtifact: artifactory
          AzureArtifact: azure
          GCSArtifact: gcs
          GitArtifact: git
          HDFSArtifact: hdfs
          HTTPArtifact: http
          OSSArtifact: oss
          PluginArtifact: plugin
          RawArtifact: raw
          S3Artifact: s3
        Artifact: ArtifactLocation
          string: from fromExpression globalName name path subPath
          bool: deleted optional recurseMode
          int: mode
          ArchiveStrategy: archive
          ArtifactGC: artifactGC
        ArchiveStrategy
          TarStrategy: tar
          freeForm: none zip
        TarStrategy
          int: compressionLevel
        ArtifactGC
          string: serviceAccountName
          Metadata: podMetadata
          OnWorkflowCompletion|OnWorkflowDeletion|Never: strategy
        S3Artifact
          string: bucket endpoint key region roleARN
          bool: insecure useSDKCreds
          CreateS3BucketOptions: createBucketIfNotPresent
          S3EncryptionOptions: encryptionOptions
          SecretKeySelector: accessKeySecret caSecret secretKeySecret sessionTokenSecret
        CreateS3BucketOptions
          bool: objectLocking
        S3EncryptionOptions
          string: kmsEncryptionContext kmsKeyId
          bool: enableEncryption
          SecretKeySelector: serverSideCustomerKeySecret
        GCSArtifact
          string: bucket key
          SecretKeySelector: serviceAccountKeySecret
        AzureArtifact
          string: blob container endpoint
          bool: useSDKCreds
          SecretKeySelector: accountKeySecret
        OSSArtifact
          string: bucket endpoint key securityToken
          bool: createBucketIfNotPresent useSDKCreds
          OSSLifecycleRule: lifecycleRule
          SecretKeySelector: accessKeySecret secretKeySecret
        OSSLifecycleRule
          int: markDeletionAfterDays markInfrequentAccessAfterDays
        HDFSArtifact
          string: dataTransferProtection hdfsUser krbRealm krbServicePrincipalName krbUsername path
          bool: force
          [string]: addresses
          ConfigMapKeySelector: krbConfigConfigMap
          SecretKeySelector: krbCCacheSecret krbKeytabSecret
        ArtifactoryArtifact
          string: url
          SecretKeySelector: passwordSecret usernameSecret
        HTTPArtifact
          string: url
          HTTPAuth: auth
          [Header]: headers
        Header
          string: name value
        HTTPAuth
          BasicAuth: basicAuth
          ClientCertAuth: clientCert
          OAuth2Auth: oauth2
        BasicAuth
          SecretKeySelector: passwordSecret usernameSecret
        ClientCertAuth
          SecretKeySelector: clientCertSecret clientKeySecret
        OAuth2Auth
          [string]: scopes
          SecretKeySelector: clientIDSecret clientSecretSecret tokenURLSecret
          [OAuth2EndpointParam]: endpointParams
        OAuth2EndpointParam
          string: key value
        GitArtifact
          string: branch repo revision
          bool: disableSubmodules insecureIgnoreHostKey insecureSkipTLS singleBranch
          int: depth
          [string]: fetch
          SecretKeySelector: passwordSecret sshPrivateKeySecret usernameSecret
        RawArtifact
          string: data
        PluginArtifact
          string: configuration key name
          int: connectionTimeoutSeconds
        """
}
