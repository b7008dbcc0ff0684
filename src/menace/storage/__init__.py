"""Where menace keeps what must not be lost: the store (a database) and the artifacts (files).

:func:`menace.storage.registry.open_store` opens a store by its URL,
:class:`menace.storage.folder_artifact_store.FolderArtifactStore` keeps model packages.
"""
