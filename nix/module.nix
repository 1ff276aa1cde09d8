# A NixOS module: `services.gg.worker` runs thunks for other machines, `services.gg.buildHook` has nix build through gg.
{ config, lib, pkgs, ... }:
let
  worker = config.services.gg.worker;
  hook = config.services.gg.buildHook;
  option = type: default: description: lib.mkOption { inherit type default description; };
  flag = name: value: lib.optionals (value != null) [ name (toString value) ];
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
    buildHook.enable = option lib.types.bool false ''
      Whether nix builds derivations as they are with their makes recorded and forced by gg. For a nix without build users.
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
        serviceConfig = {
          ExecStart = lib.escapeShellArgs ([ "${config.services.gg.package}/bin/gg" "worker" "--listen" worker.listen ]
            ++ flag "--jobs" worker.jobs ++ flag "--memory" worker.memory ++ flag "--cache" worker.cache);
          Restart = "on-failure";
          TimeoutStopSec = 120; # what runs is let end
          DynamicUser = true;
          CacheDirectory = "gg-worker";
          CacheDirectoryMode = "0700";
          StateDirectory = "gg-worker";
          StateDirectoryMode = "0700";
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
          RestrictAddressFamilies = [ "AF_INET" "AF_INET6" "AF_UNIX" ];
          RestrictNamespaces = "user mnt pid net ipc uts"; # thunks of static programs run in some
          RestrictRealtime = true;
          RestrictSUIDSGID = true;
          SystemCallArchitectures = "native";
        };
      };
    })
  ];
}
