# ggShell { inputsFrom = [ pkgs.mosh ]; storage = "s3://…"; engine = "lambda"; jobs = 100; }: a shell with gg to build these
# packages in. For one package it is that package's own, with its source, flags and phases; for several it is a mkShell.
# What else is given goes to the shell.
pkgs:
{ inputsFrom ? [ ], packages ? [ ], shellHook ? "", storage ? null, engine ? null, jobs ? null, ... }@args:
let
  set = name: value: if value == null then "" else "export ${name}='${toString value}'";
  given = removeAttrs args [ "inputsFrom" "packages" "shellHook" "storage" "engine" "jobs" ];
  hook = before: ''
    ${before}
    ${set "GG_STORAGE_URI" storage}
    ${set "GG_ENGINE" engine}
    ${set "GG_JOBS" jobs}
    source ${./shell-hook.sh}
    ${shellHook}
  '';
in
if builtins.length inputsFrom == 1 then
  (builtins.head inputsFrom).overrideAttrs (old: given // {
    nativeBuildInputs = [ pkgs.gg ] ++ packages ++ (old.nativeBuildInputs or [ ]);
    shellHook = hook (old.shellHook or "");
  })
else
  pkgs.mkShell (given // {
    inherit inputsFrom;
    packages = [ pkgs.gg ] ++ packages;
    shellHook = hook "";
  })
