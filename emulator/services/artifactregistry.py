"""Artifact Registry v1: repositories, images and tags, as far as they are looked up."""

from urllib.parse import quote, unquote

from google.cloud.artifactregistry_v1 import types
from google.longrunning.operations_pb2 import Operation

from emulator.calls import Call, paged
from emulator.dockerfile import Image
from emulator.moments import moment, new_uuid, now
from emulator.problem import exists, not_found
from emulator.registry import parse_reference
from emulator.services.lookups import Policies
from emulator.world import World


def _missing(name: str) -> Exception:
    return not_found(f"Requested entity was not found: {name}")


class ArtifactRegistry(Policies):
    """google.devtools.artifactregistry.v1.ArtifactRegistry."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._world = world

    def _require(self, resource: str) -> None:
        if resource not in self._world.repositories:
            raise _missing(resource)

    def get_repository(
        self, request: types.GetRepositoryRequest, _call: Call
    ) -> types.Repository:
        """A repository."""
        self._require(request.name)
        return self._world.repositories[request.name]

    def list_repositories(
        self, request: types.ListRepositoriesRequest, _call: Call
    ) -> types.ListRepositoriesResponse:
        """The repositories of a location."""
        mine = [
            repository
            for name, repository in sorted(self._world.repositories.items())
            if name.startswith(f"{request.parent}/repositories/")
        ]
        return types.ListRepositoriesResponse(repositories=mine)

    def create_repository(
        self, request: types.CreateRepositoryRequest, _call: Call
    ) -> Operation:
        """Make a repository, at once."""
        name = f"{request.parent}/repositories/{request.repository_id}"
        if name in self._world.repositories:
            raise exists("the repository already exists")
        repository = request.repository
        repository.name = name
        repository.create_time = repository.update_time = now()
        self._world.repositories[name] = repository
        operation = f"{request.parent}/operations/{new_uuid()}"
        self._world.operations.start(operation, types.OperationMetadata())
        return self._world.operations.finish(operation, repository)

    def _images(self, parent: str) -> list[types.DockerImage]:
        self._require(parent)
        return [
            _docker_image(parent, name, image, tags)
            for name, image, tags in self._world.registry.images()
            if parse_reference(name).repository() == parent
        ]

    def list_docker_images(
        self, request: types.ListDockerImagesRequest, _call: Call
    ) -> types.ListDockerImagesResponse:
        """The images of a repository."""
        images = self._images(request.parent)
        page, token = paged(images, request.page_size, request.page_token)
        return types.ListDockerImagesResponse(docker_images=page, next_page_token=token)

    def get_docker_image(
        self, request: types.GetDockerImageRequest, _call: Call
    ) -> types.DockerImage:
        """One image by ``…/dockerImages/IMAGE@DIGEST``."""
        parent = request.name.partition("/dockerImages/")[0]
        wanted = unquote(request.name)
        for image in self._images(parent):
            if unquote(image.name) == wanted:
                return image
        raise _missing(request.name)

    def _tags(self, package: str) -> list[types.Tag]:
        parent, _, name = package.partition("/packages/")
        return [
            types.Tag(
                name=f"{package}/tags/{tag}",
                version=f"{package}/versions/{image.digest}",
            )
            for whole, image, tags in self._world.registry.images()
            if parse_reference(whole).repository() == parent
            and whole.split("/", 3)[3] == unquote(name)
            for tag in tags
        ]

    def list_tags(
        self, request: types.ListTagsRequest, _call: Call
    ) -> types.ListTagsResponse:
        """The tags of a package."""
        page, token = paged(
            self._tags(request.parent), request.page_size, request.page_token
        )
        return types.ListTagsResponse(tags=page, next_page_token=token)

    def get_tag(self, request: types.GetTagRequest, _call: Call) -> types.Tag:
        """One tag."""
        package = request.name.partition("/tags/")[0]
        for tag in self._tags(package):
            if tag.name == request.name:
                return tag
        raise _missing(request.name)


def _docker_image(
    parent: str, name: str, image: Image, tags: list[str]
) -> types.DockerImage:
    short = quote(name.split("/", 3)[3], safe="")
    return types.DockerImage(
        name=f"{parent}/dockerImages/{short}@{image.digest}",
        uri=f"{name}@{image.digest}",
        tags=tags,
        image_size_bytes=image.size,
        upload_time=moment(image.created),
        update_time=moment(image.created),
        media_type="application/vnd.docker.distribution.manifest.v2+json",
    )
