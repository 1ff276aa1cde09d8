# Perl with its library, which it looks for where the machine has it: a program in front says where it is now.
set -e
export PATH=/usr/bin:/bin
mkdir -p $out/bin $out/lib
for directory in $(perl -e 'print join "\n", grep { -d && m{^/usr/(lib|share)/} && !m{local|perl5} } @INC'); do
    cp -aL $directory/. $out/lib/
done
printf '#!%s/bin/bash\nPERL5LIB=%s/lib${PERL5LIB:+:$PERL5LIB} exec %s/bin/perl "$@"\n' $tools $out $tools >$out/bin/perl
chmod -R u+w $out
sed -i "s|/usr/share/perl/[0-9.]*|$out/lib|g" $out/lib/Config*.p[lm] $out/lib/diagnostics.pm
chmod +x $out/bin/perl
exit 0
