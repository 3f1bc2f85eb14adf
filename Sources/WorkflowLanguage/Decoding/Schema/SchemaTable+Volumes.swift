// Kubernetes' volumes and claims.

extension SchemaTable {
    /// Volumes of all sources, and claims for them.
    static let volumes = """
        Volume
          string: name
          AWSElasticBlockStoreVolumeSource: awsElasticBlockStore
          AzureDiskVolumeSource: azureDisk
          AzureFileVolumeSource: azureFile
          CSIVolumeSource: csi
          CephFSVolumeSource: cephfs
          CinderVolumeSource: cinder
          ConfigMapVolumeSource: configMap
          DownwardAPIVolumeSource: downwardAPI
          EmptyDirVolumeSource: emptyDir
          EphemeralVolumeSource: ephemeral
          FCVolumeSource: fc
          FlexVolumeSource: flexVolume
          FlockerVolumeSource: flocker
          GCEPersistentDiskVolumeSource: gcePersistentDisk
          GitRepoVolumeSource: gitRepo
          GlusterfsVolumeSource: glusterfs
          HostPathVolumeSource: hostPath
          ISCSIVolumeSource: iscsi
          ImageVolumeSource: image
          NFSVolumeSource: nfs
          PersistentVolumeClaimVolumeSource: persistentVolumeClaim
          PhotonPersistentDiskVolumeSource: photonPersistentDisk
          PortworxVolumeSource: portworxVolume
          ProjectedVolumeSource: projected
          QuobyteVolumeSource: quobyte
          RBDVolumeSource: rbd
          ScaleIOVolumeSource: scaleIO
          SecretVolumeSource: secret
          StorageOSVolumeSource: storageos
          VsphereVirtualDiskVolumeSource: vsphereVolume
        PersistentVolumeClaim
          string: apiVersion kind
          ObjectMeta: metadata
          PersistentVolumeClaimSpec: spec
          freeForm: status
        AWSElasticBlockStoreVolumeSource
          string: fsType volumeID
          bool: readOnly
          int: partition
        AzureDiskVolumeSource
          string: cachingMode diskName diskURI fsType kind
          bool: readOnly
        AzureFileVolumeSource
          string: secretName shareName
          bool: readOnly
        CephFSVolumeSource
          string: path secretFile user
          bool: readOnly
          [string]: monitors
          LocalObjectReference: secretRef
        CinderVolumeSource
          string: fsType volumeID
          bool: readOnly
          LocalObjectReference: secretRef
        ConfigMapVolumeSource
          string: name
          bool: optional
          int: defaultMode
          [KeyToPath]: items
        CSIVolumeSource
          string: driver fsType
          bool: readOnly
          {string}: volumeAttributes
          LocalObjectReference: nodePublishSecretRef
        DownwardAPIVolumeSource
          int: defaultMode
          [DownwardAPIVolumeFile]: items
        EmptyDirVolumeSource
          string: medium
          quantity: sizeLimit
        EphemeralVolumeSource
          PersistentVolumeClaimTemplate: volumeClaimTemplate
        FCVolumeSource
          string: fsType
          bool: readOnly
          int: lun
          [string]: targetWWNs wwids
        FlexVolumeSource
          string: driver fsType
          bool: readOnly
          {string}: options
          LocalObjectReference: secretRef
        FlockerVolumeSource
          string: datasetName datasetUUID
        GCEPersistentDiskVolumeSource
          string: fsType pdName
          bool: readOnly
          int: partition
        GitRepoVolumeSource
          string: directory repository revision
        GlusterfsVolumeSource
          string: endpoints path
          bool: readOnly
        HostPathVolumeSource
          string: path type
        ImageVolumeSource
          string: pullPolicy reference
        ISCSIVolumeSource
          string: fsType initiatorName iqn iscsiInterface targetPortal
          bool: chapAuthDiscovery chapAuthSession readOnly
          int: lun
          [string]: portals
          LocalObjectReference: secretRef
        NFSVolumeSource
          string: path server
          bool: readOnly
        PersistentVolumeClaimVolumeSource
          string: claimName
          bool: readOnly
        PhotonPersistentDiskVolumeSource
          string: fsType pdID
        PortworxVolumeSource
          string: fsType volumeID
          bool: readOnly
        ProjectedVolumeSource
          int: defaultMode
          [VolumeProjection]: sources
        QuobyteVolumeSource
          string: group registry tenant user volume
          bool: readOnly
        RBDVolumeSource
          string: fsType image keyring pool user
          bool: readOnly
          [string]: monitors
          LocalObjectReference: secretRef
        ScaleIOVolumeSource
          string: fsType gateway protectionDomain storageMode storagePool system volumeName
          bool: readOnly sslEnabled
          LocalObjectReference: secretRef
        SecretVolumeSource
          string: secretName
          bool: optional
          int: defaultMode
          [KeyToPath]: items
        StorageOSVolumeSource
          string: fsType volumeName volumeNamespace
          bool: readOnly
          LocalObjectReference: secretRef
        VsphereVirtualDiskVolumeSource
          string: fsType storagePolicyID storagePolicyName volumePath
        PersistentVolumeClaimSpec
          string: storageClassName volumeAttributesClassName volumeMode volumeName
          [string]: accessModes
          LabelSelector: selector
          TypedLocalObjectReference: dataSource
          TypedObjectReference: dataSourceRef
          VolumeResourceRequirements: resources
        KeyToPath
          string: key path
          int: mode
        DownwardAPIVolumeFile
          string: path
          int: mode
          ObjectFieldSelector: fieldRef
          ResourceFieldSelector: resourceFieldRef
        PersistentVolumeClaimTemplate
          ObjectMeta: metadata
          PersistentVolumeClaimSpec: spec
        VolumeProjection
          ClusterTrustBundleProjection: clusterTrustBundle
          ConfigMapProjection: configMap
          DownwardAPIProjection: downwardAPI
          PodCertificateProjection: podCertificate
          SecretProjection: secret
          ServiceAccountTokenProjection: serviceAccountToken
        TypedLocalObjectReference
          string: apiGroup kind name
        TypedObjectReference
          string: apiGroup kind name namespace
        VolumeResourceRequirements
          {quantity}: limits requests
        ClusterTrustBundleProjection
          string: name path signerName
          bool: optional
          LabelSelector: labelSelector
        ConfigMapProjection
          string: name
          bool: optional
          [KeyToPath]: items
        DownwardAPIProjection
          [DownwardAPIVolumeFile]: items
        SecretProjection
          string: name
          bool: optional
          [KeyToPath]: items
        ServiceAccountTokenProjection
          string: audience path
          int: expirationSeconds
        PodCertificateProjection
          string: signerName keyType credentialBundlePath keyPath certificateChainPath
          int: maxExpirationSeconds
          {string}: userAnnotations
        """
}
