"""The options of the linkers, as their --help and sources give them: GNU ld and gold 2.40, lld 14, mold 1.10.

Effects: `flag` and `value` change no path. The others:

    input      reads the file            command   reads a file that ld looks for in the -L directories too
    output     the file that is made     writes    makes the file beside it
    map        the map file              depfile   a make rule of all that was read
    libdir     -L                        library   -l
    rpath rpath_link                     where needed libraries are looked for
    script     -T                        just      reads symbols only (GNU ld: a directory means -rpath)
    static dynamic push pop              what -l looks for
    nostdlib sysroot format emulation    the default directories, the prefix of `=`, the format, the target
    relocatable shared strict            what is linked; strict: the needs of shared libraries are checked
    gpsize     -G with a number; alone -shared
    version    prints the version, and links if there is anything to link
    probe      answers a question        printed   writes a map to standard output
    real       is run for real
"""

from __future__ import annotations

from functools import cache

from gg.models.binutils.options import OptionTable, Style, read_table

# Common to all four.
_COMMON = """
input -R: --just-symbols= --retain-symbols-file=
command --version-script= --dynamic-list= --export-dynamic-symbol-list=
output -o: --output=
map --Map=
depfile --dependency-file=
libdir -L: --library-path=
library -l: --library=
rpath --rpath=
rpath_link --rpath-link=
script -T: --script=
static --static --Bstatic --dn --non_shared
dynamic --Bdynamic --dy --call_shared
push --push-state
pop --pop-state
nostdlib --nostdlib
sysroot --sysroot=
format -b: --format=
emulation -m:
relocatable -r -i --relocatable
shared --shared --Bshareable
strict --no-allow-shlib-undefined
version -v -V
probe --version --help
printed -M --print-map
plugin --plugin=
value --plugin-opt=
value -e: --entry= -f: --auxiliary= -F: --filter= -h: --soname= -I: --dynamic-linker= -u: --undefined= -O: -y:
value --trace-symbol= -z: --defsym= --fini= --init= --hash-style= --oformat= --section-start= --wrap= --exclude-libs=
value --unresolved-symbols= --sort-section= --export-dynamic-symbol= --orphan-handling= --spare-dynamic-tags=
value --Tbss= --Tdata= --Ttext= --compress-debug-sections= --image-base=
flag --build-id[=] --sort-common[=] --package-metadata[=] --demangle[=] --unique[=]
flag -E --export-dynamic --no-export-dynamic -N --omagic --no-omagic -n --nmagic -q --emit-relocs -s --strip-all
flag -S --strip-debug -t --trace -x --discard-all -X --discard-locals --discard-none -( -) --start-group --end-group
flag --as-needed --no-as-needed --Bsymbolic --Bsymbolic-functions --Bno-symbolic -g -d --dc --dp --EB --EL
flag --check-sections --no-check-sections --cref --no-define-common --no-demangle --no-dynamic-linker
flag --enable-new-dtags --disable-new-dtags --eh-frame-hdr --no-eh-frame-hdr --fatal-warnings --no-fatal-warnings
flag --gc-sections --no-gc-sections --print-gc-sections --no-print-gc-sections --no-undefined --allow-shlib-undefined
flag --allow-multiple-definition --no-undefined-version --undefined-version --noinhibit-exec --pie --no-pie
flag --pic-executable --relax --no-relax --warn-common --warn-once --warn-unresolved-symbols
flag --error-unresolved-symbols --whole-archive --no-whole-archive --verbose[=] --stats
"""

_BFD = """
just -R: --just-symbols=
gpsize -G:: --gpsize=
relocatable --Ur
script --default-script= --dT=
strict --copy-dt-needed-entries --add-needed
flag --no-copy-dt-needed-entries --no-add-needed
probe --print-output-format --print-sysroot --target-help
real -c: --mri-script= --error-handling-script= --task-link=
writes --out-implib= --output-def= --base_file= --base-file=
value -a: -A: --architecture= -P: --depaudit= --audit= -Y: --assert= --require-defined= --ignore-unresolved-symbol=
value --hash-size= --max-cache-size= --version-exports-section= --Ttext-segment= --Trodata-segment=
value --Tldata-segment= --ctf-share-types= --file-alignment= --heap= --stack= --section-alignment= --subsystem=
value --major-image-version= --minor-image-version= --major-os-version= --minor-os-version=
value --major-subsystem-version= --minor-subsystem-version= --exclude-symbols= --exclude-modules-for-implib=
value --dll-search-prefix= --thumb-entry= --flto-partition= --fuse-ld= --split-by-reloc[=] --split-by-file[=]
flag --enable-auto-image-base[=] --flto[=]
flag -p -w --no-warnings --warnings --Qy --qmagic --force-group-allocation --dll --no-map-whole-files --map-whole-files
flag --enable-non-contiguous-regions --enable-non-contiguous-regions-warnings --accept-unknown-input-arch
flag --no-accept-unknown-input-arch --disable-multiple-abs-defs --embedded-relocs --force-exe-suffix
flag --gc-keep-exported --no-keep-memory --default-symver --default-imported-symver
flag --no-warn-mismatch --no-warn-search-mismatch --reduce-memory-overheads --strip-discarded --no-strip-discarded
flag --traditional-format --dynamic-list-data --dynamic-list-cpp-new --dynamic-list-cpp-typeinfo
flag --warn-constructors --warn-execstack --no-warn-execstack --warn-execstack-objects --warn-rwx-segments
flag --no-warn-rwx-segments --error-execstack --no-error-execstack --error-rwx-segments --no-error-rwx-segments
flag --warn-multiple-gp --warn-section-align --warn-textrel --warn-shared-textrel --warn-alternate-em
flag --no-warn-warnings --print-memory-usage --print-map-discarded --no-print-map-discarded --print-map-locals
flag --no-print-map-locals --ctf-variables --no-ctf-variables --ld-generated-unwind-info --Bgroup --no-dynamic-list
flag --no-ld-generated-unwind-info --support-old-code --leading-underscore --no-leading-underscore
flag --no-insert-timestamp --add-stdcall-alias --disable-stdcall-fixup --enable-stdcall-fixup
flag --exclude-all-symbols --export-all-symbols --kill-at --warn-duplicate-exports --compat-implib
flag --disable-auto-image-base --enable-auto-import --disable-auto-import --enable-runtime-pseudo-reloc
flag --disable-runtime-pseudo-reloc --enable-extra-pe-debug --enable-extra-pep-debug --large-address-aware
flag --disable-large-address-aware --enable-long-section-names --disable-long-section-names --high-entropy-va
flag --disable-high-entropy-va --dynamicbase --disable-dynamicbase --enable-reloc-section --disable-reloc-section
flag --forceinteg --disable-forceinteg --nxcompat --disable-nxcompat --no-isolation --disable-no-isolation --no-seh
flag --disable-no-seh --no-bind --disable-no-bind --wdmdriver --disable-wdmdriver --tsaware --disable-tsaware
flag --be8 --no-apply-dynamic-relocs --fix-v4bx --fix-v4bx-interworking --use-blx
flag --no-enum-size-warning --no-wchar-size-warning --pic-veneer --long-plt --fix-cortex-a8 --no-fix-cortex-a8
flag --no-merge-exidx-entries --fix-arm1176 --no-fix-arm1176 --fix-cortex-a53-835769 --no-fix-cortex-a53-835769
flag --fix-cortex-a53-843419[=] --no-fix-cortex-a53-843419 --target1-rel --target1-abs
value --target2= --stub-group-size= --vfp11-denorm-fix=
real --insert-timestamp
"""

_GOLD = """
rpath -R:
shared -G
value --optimize=
flag -p --Qy --no-Bgroup --Bgroup --add-needed --no-add-needed --copy-dt-needed-entries
flag --no-copy-dt-needed-entries --no-allow-multiple-definition --apply-dynamic-relocs --no-apply-dynamic-relocs
flag --be8 --no-cref --ctors-in-init-array --no-ctors-in-init-array --define-common --detect-odr-violations
flag --no-detect-odr-violations --dynamic-list-data --dynamic-list-cpp-new --dynamic-list-cpp-typeinfo
flag --emit-stub-syms --no-emit-stub-syms --no-enum-size-warning --fix-arm1176 --no-fix-arm1176 --fix-cortex-a8
flag --no-fix-cortex-a8 --fix-cortex-a53-843419 --no-fix-cortex-a53-843419 --fix-cortex-a53-835769
flag --no-fix-cortex-a53-835769 --fix-v4bx --fix-v4bx-interworking --gdb-index --no-gdb-index --gnu-unique
flag --no-gnu-unique --keep-files-mapped --no-keep-files-mapped --ld-generated-unwind-info --no-incremental
flag --no-ld-generated-unwind-info --long-plt --no-long-plt --map-whole-files --no-map-whole-files
flag --merge-exidx-entries --no-merge-exidx-entries --mmap-output-file --no-mmap-output-file --no-keep-memory
flag --no-pic-executable --pic-veneer --no-pipeline-knowledge --plt-align[=] --plt-localentry --no-plt-localentry
flag --plt-static-chain --no-plt-static-chain --plt-thread-safe --no-plt-thread-safe --posix-fallocate
flag --no-posix-fallocate --power10-stubs[=] --no-power10-stubs --preread-archive-symbols --print-icf-sections
flag --no-print-icf-sections --rosegment --no-rosegment --strip-debug-non-line --strip-debug-gdb
flag --strip-lto-sections --secure-plt --stub-group-multi --no-stub-group-multi --start-lib --end-lib
flag --target1-abs --target1-rel --text-reorder --no-text-reorder --threads --no-threads --tls-optimize
flag --no-tls-optimize --tls-get-addr-optimize --no-tls-get-addr-optimize --toc-optimize --no-toc-optimize --toc-sort
flag --no-toc-sort --no-warn-common --warn-constructors --no-warn-constructors --warn-drop-version
flag --no-warn-drop-version --warn-execstack --no-warn-execstack --no-warn-mismatch --warn-multiple-gp
flag --warn-search-mismatch --no-warn-search-mismatch --warn-shared-textrel --no-warn-shared-textrel
flag --no-wchar-size-warning --weak-unresolved-symbols
value --assert= --build-id-chunk-size-for-treehash= --build-id-min-file-size-for-treehash= --debug= --fuse-ld=
value --hash-bucket-empty-fraction= --icf= --icf-iterations= --keep-unique= --rosegment-gap= --stub-group-size=
value --split-stack-adjust-size= --target2= --thread-count= --thread-count-initial= --thread-count-middle=
value --thread-count-final= --Ttext-segment= --Trodata-segment= -Y:
input --section-ordering-file=
writes --print-symbol-counts=
probe --print-output-format
real --incremental --incremental-full --incremental-update --incremental-base= --incremental-changed
real --incremental-unchanged --incremental-unknown --incremental-startup-unchanged --incremental-patch=
"""

_LLD = """
rpath -R:
shared --Bshareable
flag --apply-dynamic-relocs --no-apply-dynamic-relocs --Bsymbolic-non-weak-functions --Bsymbolic-non-weak
flag --call-graph-profile-sort[=] --no-call-graph-profile-sort --color-diagnostics[=] --no-color-diagnostics
flag --define-common --dependent-libraries --no-dependent-libraries --execute-only --no-execute-only
flag --fix-cortex-a53-843419 --fix-cortex-a8 --fortran-common --no-fortran-common --gdb-index --no-gdb-index
flag --gnu-unique --no-gnu-unique --ignore-data-address-equality --ignore-function-address-equality
flag --merge-exidx-entries --no-merge-exidx-entries --mmap-output-file --no-mmap-output-file
flag --no-allow-multiple-definition --no-nmagic --optimize-bb-jumps --no-optimize-bb-jumps --pcrel-optimize
flag --no-pcrel-optimize --pic-veneer --power10-stubs[=] --no-power10-stubs --print-icf-sections
flag --no-print-icf-sections --rosegment --no-rosegment --start-lib --end-lib --target1-abs --target1-rel
flag --toc-optimize --no-toc-optimize --tls-get-addr-optimize --no-tls-get-addr-optimize --use-android-relr-tags
flag --no-use-android-relr-tags --vs-diagnostics --warn-backrefs --no-warn-backrefs --no-warn-common
flag --warn-ifunc-textrel --no-warn-ifunc-textrel --warn-symbol-ordering --no-warn-symbol-ordering
flag --lto-debug-pass-manager --lto-legacy-pass-manager --no-lto-legacy-pass-manager --lto-pgo-warn-mismatch
flag --no-lto-pgo-warn-mismatch --lto-unique-basic-block-section-names --no-lto-unique-basic-block-section-names
flag --lto-whole-program-visibility --no-lto-whole-program-visibility --no-warn-mismatch --no-warnings -w
flag --no-add-needed --no-copy-dt-needed-entries --no-ctors-in-init-array --no-keep-memory --Qy --no-pic-executable
flag --no-warn-search-mismatch --detect-odr-violations --warn-execstack --no-mmap-output-file
value --error-limit= --icf= --keep-unique= --lto-aa-pipeline= --lto-basic-block-sections=
value --lto-newpm-passes= --lto-O= --lto-partitions= --max-page-size= --mllvm= --pack-dyn-relocs= --target2=
value --shuffle-sections= --split-stack-adjust-size= --threads= --undefined-glob= --warn-backrefs-exclude= --assert=
value --thinlto-jobs= --rsp-quoting= --randomize-section-padding= --require-defined= --remap-inputs=
input --call-graph-ordering-file= --symbol-ordering-file= --lto-sample-profile= --lto-cs-profile-file=
writes --why-extract= --print-archive-stats= --print-symbol-order=
real --reproduce= --save-temps[=] --thinlto-cache-dir= --thinlto-cache-policy= --thinlto-emit-imports-files
real --thinlto-index-only[=] --thinlto-object-suffix-replace= --thinlto-prefix-replace= --time-trace[=]
real --time-trace-file= --time-trace-granularity= --opt-remarks-filename= --opt-remarks-format= --opt-remarks-passes=
real --opt-remarks-hotness-threshold= --opt-remarks-with-hotness --error-handling-script= --lto-obj-path= --chroot=
real --lto-emit-asm --lto-cs-profile-generate --thinlto-single-module= --remap-inputs-file=
"""

_MOLD = """
rpath -R:
flag --apply-dynamic-relocs --no-apply-dynamic-relocs --no-build-id --color-diagnostics[=] --fork --no-fork
flag --execute-only --gdb-index --no-icf --ignore-data-address-equality --perf --no-pic-executable --print-icf-sections
flag --quick-exit --no-quick-exit --no-quick-exit --reverse-sections --rosegment --no-rosegment --start-lib --end-lib
flag --threads[=] --no-threads --no-warn-common --warn-shared-textrel --warn-textrel --no-keep-memory --EB --EL
flag --export-all-symbols --no-add-needed --no-copy-dt-needed-entries --no-mmap-output-file --pic-veneer
value --icf= --pack-dyn-relocs= --thread-count= --require-defined= --assert= --shuffle-sections[=]
real -C: --directory= --chroot= --repro --run
"""

_TABLES = {"bfd": _BFD, "gold": _GOLD, "lld": _LLD, "mold": _MOLD}


@cache
def linker_table(flavour: str) -> OptionTable:
    """The options of one family: "bfd", "gold", "lld" or "mold". KeyError for another."""
    return read_table(_COMMON + _TABLES[flavour], Style.LD if flavour == "bfd" else Style.EXACT)
