"""What runs a worker on a machine or a cluster of one's own: a systemd unit, a Containerfile, a Kubernetes deployment. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gg import __version__

UNIT_WALLS = """\
UMask=0077
CapabilityBoundingSet=
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""
"""What a worker's unit cannot do. A worker needs no namespaces: what would need some, it leaves to the machine that builds."""

_UNIT = """\
[Unit]
Description=gg worker
Wants=network-online.target
After=network-online.target
[Service]
ExecStart={words}
Restart=on-failure
TimeoutStopSec={patience}
DynamicUser=yes
CacheDirectory=gg-worker
CacheDirectoryMode=0700
StateDirectory=gg-worker
StateDirectoryMode=0700
Environment=HOME=/var/cache/gg-worker XDG_CACHE_HOME=/var/cache/gg-worker XDG_CONFIG_HOME=/var/lib/gg-worker
{walls}\
[Install]
WantedBy=multi-user.target
"""

_CONTAINER = """\
# podman build -t gg-worker:{version} -f Containerfile PATH      PATH is a checkout of gg
FROM docker.io/library/python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make
COPY . /gg
RUN pip wheel --no-cache-dir -w /wheels '/gg[aws,remote]'
FROM docker.io/library/python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \\
  pip install --no-cache-dir --no-index --find-links /wheels 'ggbuild[aws,remote]'
RUN install -d -o 65534 -g 65534 -m 700 /var/cache/gg-worker
USER 65534:65534
ENV HOME=/var/cache/gg-worker XDG_CACHE_HOME=/var/cache/gg-worker XDG_CONFIG_HOME=/var/cache/gg-worker/config
VOLUME /var/cache/gg-worker
STOPSIGNAL SIGTERM
ENTRYPOINT {words}
"""

_KUBERNETES = """\
# kubectl apply -f FILE. The image is that of `gg worker --print container`; the service account's role has the rights to the
# queue and the store.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: gg-worker
  labels: {{app: gg-worker}}
spec:
  replicas: 4
  selector:
    matchLabels: {{app: gg-worker}}
  template:
    metadata:
      labels: {{app: gg-worker}}
    spec:
      serviceAccountName: gg-worker
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: {patience}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        runAsGroup: 65534
        fsGroup: 65534
        seccompProfile: {{type: RuntimeDefault}}
      containers:
        - name: worker
          image: gg-worker:{version}
          command: [gg, worker]
          args: {args}
          env:
            - name: POD_IP
              valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}
          resources:
            requests: {{cpu: "4", memory: 8Gi}}
            limits: {{cpu: "4", memory: 8Gi, ephemeral-storage: 40Gi}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
          volumeMounts:
            - {{name: cache, mountPath: /var/cache/gg-worker}}
            - {{name: tmp, mountPath: /tmp}}
      volumes:
        - {{name: cache, emptyDir: {{}}}}
        - {{name: tmp, emptyDir: {{}}}}
"""


def systemd_unit(command: Sequence[str], grace: float) -> str:
    """A unit that runs `command`, an absolute path and its arguments. `grace`: seconds that the worker gives what runs."""
    return _UNIT.format(words=" ".join(map(_unit_word, command)), patience=_patience(grace), walls=UNIT_WALLS)


def containerfile(options: Sequence[str]) -> str:
    """What builds an image of this gg's worker."""
    return _CONTAINER.format(version=__version__, words=json.dumps(["gg", "worker", *options]))


def kubernetes_manifest(options: Sequence[str], grace: float) -> str:
    """A deployment of such images. Pods reach each other, so they give each other what they keep."""
    args = json.dumps([each.replace("$(", "$$(") for each in options] + ["--exchange", "$(POD_IP)"])
    return _KUBERNETES.format(version=__version__, args=args, patience=_patience(grace))


def _patience(grace: float) -> int:
    """Until the service manager kills: what runs has ended by then, and all answers are sent."""
    return int(grace) + 20


def _unit_word(word: str) -> str:
    """As `systemd.service` reads the words of a command line."""
    word = word.replace("%", "%%").replace("$", "$$")
    if word and not set(word) & set(" \t\n\"'\\;"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
