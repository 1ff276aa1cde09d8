# A NixOS module: `services.gg.worker` runs thunks for other machines, `services.gg.store` serves builds in nix's sandbox a store,
# `services.gg.buildHook` has nix build through gg.
{ config, lib, pkgs, ... }:
let
  worker = config.services.gg.worker;
  store = config.services.gg.store;
  hook = config.services.gg.buildHook;
  gg = "${config.services.gg.package}/bin/gg";
  option = type: default: description: lib.mkOption { inherit type default description; };
  flag = name: value: lib.optionals (value != null) [ name (toString value) ];
  hardened = {
    Restart = "on-failure";
    DynamicUser = true;
    UMask = "0077";
    CapabilityBoundingSet = "";
    LockPersonality = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateTmp = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectSystem = "strict";
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
  };
in
{
  options.services.gg = {
    package = option lib.types.package pkgs.gg "The gg that runs.";
    worker = {
      enable = option lib.types.bool false "Whether to run thunks for other machines.";
      listen = option lib.types.str "7177" "Where to take work: [HOST:]PORT.";
      jobs = option (lib.types.nullOr lib.types.int) null "How many thunks run at once; null: one a processor.";
      memory = option (lib.types.nullOr lib.types.str) null "What they may take together, as 8G.";
      cache = option (lib.types.nullOr lib.types.str) null "What inputs may take on disk, as 50G.";
    };
    store = {
      enable = option lib.types.bool false ''
        Whether to keep results from build to build: of packages by withGg { store = "/run/gg/store"; }, which nix builds as the
        members of `group`. Whoever is of that group is believed.
      '';
      group = option lib.types.str "nixbld" "The group of those who may use it.";
    };
    buildHook.enable = option lib.types.bool false ''
      Whether nix builds derivations as they are with their makes recorded and forced by gg. Builders are then not run as nix's
      build users.
    '';
  };

  config = lib.mkMerge [
    (lib.mkIf hook.enable {
      nix.settings.build-hook = "${config.services.gg.package}/bin/gg-nix-hook";
    })
    (lib.mkIf worker.enable {
      systemd.services.gg-worker = {
        description = "gg worker";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        environment = {
          XDG_CACHE_HOME = "/var/cache/gg-worker";
          XDG_CONFIG_HOME = "/var/lib/gg-worker";
        };
        serviceConfig = hardened // {
          ExecStart = lib.escapeShellArgs ([ gg "worker" "--listen" worker.listen ]
            ++ flag "--jobs" worker.jobs ++ flag "--memory" worker.memory ++ flag "--cache" worker.cache);
          TimeoutStopSec = 120; # what runs is let end
          CacheDirectory = "gg-worker";
          CacheDirectoryMode = "0700";
          StateDirectory = "gg-worker";
          StateDirectoryMode = "0700";
          RestrictAddressFamilies = [ "AF_INET" "AF_INET6" "AF_UNIX" ];
          RestrictNamespaces = true;
        };
      };
    })
    (lib.mkIf store.enable {
      nix.settings.extra-sandbox-paths = [ "/run/gg/store?" ]; # builds go on without it
      systemd.services.gg-store = {
        description = "gg store for nix's builds";
        wantedBy = [ "multi-user.target" ];
        environment.XDG_CACHE_HOME = "/var/cache/gg-store";
        serviceConfig = hardened // {
          ExecStart = lib.escapeShellArgs [ gg "nix" "store" "--mode" "660" "/run/gg/store" ];
          KillSignal = "SIGINT";
          SuccessExitStatus = 130;
          Group = store.group;
          RuntimeDirectory = "gg";
          CacheDirectory = "gg-store";
          CacheDirectoryMode = "0700";
          PrivateNetwork = true;
          RestrictAddressFamilies = [ "AF_UNIX" ];
          RestrictNamespaces = true;
        };
      };
    })
  ];
}
