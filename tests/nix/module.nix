# The module, evaluated by as much of nixpkgs' lib as it asks for: what a user sets goes in, units and settings come out.
{ module, settings }:
let
  lib = {
    mkOption = option: option;
    mkIf = condition: content: if condition then content else { };
    mkMerge = builtins.foldl' merge { };
    optionals = condition: list: if condition then list else [ ];
    escapeShellArgs = builtins.concatStringsSep " ";
    types = { package = "package"; bool = "bool"; str = "str"; int = "int"; nullOr = type: type; };
  };
  merge = a: b: a // builtins.mapAttrs
    (name: value: if builtins.isAttrs value && builtins.isAttrs (a.${name} or null) then merge a.${name} value else value) b;
  defaults = options: builtins.mapAttrs
    (name: value: if value ? description then value.default else defaults value) options;
  given = import module { inherit lib; config = final; pkgs = { gg = "/nix/store/gg"; }; };
  final = merge (defaults given.options) { services.gg = settings; };
  unit = name:
    let unit = (given.config.systemd.services or { }).${name} or null; in
    if unit == null then "" else builtins.concatStringsSep "\n" (
      [ "[Unit]" "Description=${unit.description}" "Wants=${words unit.wants or [ ]}" "After=${words unit.after or [ ]}" "[Service]" ]
      ++ map (name: "Environment=${name}=${unit.environment.${name}}") (builtins.attrNames unit.environment)
      ++ map (name: line name unit.serviceConfig.${name}) (builtins.attrNames unit.serviceConfig)
      ++ [ "[Install]" "WantedBy=${words unit.wantedBy}" "" ]);
  words = toString;
  line = name: value:
    let text = v: if v == true then "yes" else toString v; in "${name}=${text value}";
in
{
  nix = given.config.nix.settings or { };
  worker = unit "gg-worker";
  store = unit "gg-store";
}
