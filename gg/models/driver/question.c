typedef int gg_question;
