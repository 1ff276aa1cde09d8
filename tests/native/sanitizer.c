/* How the address sanitizer is to behave in programs of which only a preloaded library is made with it. */
const char *__asan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "verify_asan_link_order=0:detect_leaks=0:abort_on_error=1:handle_segv=0";
}
