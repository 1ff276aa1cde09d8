# Flags for NIX_HARDENING_ENABLE.
hardeningBefore=() hardeningAfter=() hardeningLinking=()
for flag in ${NIX_HARDENING_ENABLE-fortify stackprotector pic format strictoverflow relro bindnow}; do
    case $flag in
    fortify) hardeningBefore+=(-O2 -U_FORTIFY_SOURCE) && hardeningAfter+=(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2) ;;
    fortify3) hardeningBefore+=(-O2 -U_FORTIFY_SOURCE) && hardeningAfter+=(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3) ;;
    stackprotector) hardeningBefore+=(-fstack-protector-strong --param ssp-buffer-size=4) ;;
    strictoverflow) hardeningBefore+=(-fno-strict-overflow) ;;
    pic) hardeningBefore+=(-fPIC) ;;
    format) hardeningBefore+=(-Wformat -Wformat-security -Werror=format-security) ;;
    relro) hardeningLinking+=(-z relro) ;;
    bindnow) hardeningLinking+=(-z now) ;;
    esac
done
