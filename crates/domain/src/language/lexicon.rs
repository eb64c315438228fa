//! Words whose language is known without looking at their letters, and words that tell nothing.
//!
//! Written from general knowledge of the three languages: greetings and answers that the
//! specification names, function words, the abbreviations of text messages, what tenants write
//! about. A word is listed for a language where it is no common word of the other two, also
//! without its accents; what two of them share speaks against the third.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Language;

/// What is known of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is a word of this language.
    Of(Language),
    /// It is a word of the two other languages.
    NotOf(Language),
    /// It is a word of all three languages, with letters that may tell something in company.
    Common,
    /// People of every language write it.
    Nothing,
}

/// What is known of a word in lower case.
pub(super) fn look_up(word: &str) -> Option<Known> {
    LEXICON.get(word).copied()
}

static LEXICON: LazyLock<HashMap<&str, Known>> = LazyLock::new(|| {
    let groups = [
        (Known::Of(Language::English), ENGLISH),
        (Known::Of(Language::Spanish), SPANISH),
        (Known::Of(Language::Portuguese), PORTUGUESE),
        (Known::NotOf(Language::English), NOT_ENGLISH),
        (Known::NotOf(Language::Spanish), NOT_SPANISH),
        (Known::NotOf(Language::Portuguese), NOT_PORTUGUESE),
        (Known::Common, COMMON),
        (Known::Nothing, NOTHING),
    ];
    groups
        .into_iter()
        .flat_map(|(known, texts)| texts.iter().map(move |text| (known, text)))
        .flat_map(|(known, text)| text.split_whitespace().map(move |word| (word, known)))
        .collect()
});

const ENGLISH: &[&str] = &[
    // Greetings and answers
    "hi hello hey hiya thanks thank thankyou thx thnx thanx ty welcome please pls plz plss sorry
     bye goodbye goodnight morning afternoon evening night tonight yes yeah yep yup yea nope
     nah sure great perfect awesome excellent absolutely good nice cool congrats cheers
     regards sincerely",
    // Function words
    "the and you your yours yourself that that's was wasn't were weren't with without they them
     their theirs this these those there here have haven't has hasn't had hadn't having not
     isn't aren't don't doesn't didn't won't wouldn't can't cannot couldn't shouldn't ain't
     what what's when where which who who's whose why how all any anyone anything anybody
     every everyone everything each other another others some someone something somebody
     somewhere nothing nobody none both either neither if then than because although though
     while until since about above after again against along already also always among around
     at away back before behind below between beyond by during ever never few from further i'm
     i've i'll i'd you're you've you'll you'd we're we've we'll he's she's it's they're
     they've they'll let's my mine myself of off often only onto or our ours out over own she
     his her hers him himself herself it its itself just like many more most much must might
     may shall should would could will into too under up upon very we well whether within
     yet i u an is am been being be does did doing done now soon such same even still rather
     quite almost maybe perhaps instead else however therefore",
    // Common verbs, nouns and adjectives
    "know knew known think thought see saw seen look looking looks want wants wanted need needs
     needed get gets got getting give gives gave given go goes going gone went make makes made
     making take takes took taken taking came coming say says said tell tells told ask asks
     asked asking answer call calls called calling work works worked working try tries tried
     trying use used using find found keep kept let put show shows showed start started stop
     stopped help helped helping talk talked speak spoke hear heard leave left feel felt bring
     brought buy bought send sends sent sending receive received wait waiting waited live
     lives lived living stay stayed stuck happen happened happens understand understood
     believe remember forgot forget hope hoping wish love loved hate eat eating drink sleep
     sleeping read write wrote written walk run drive drove open opened close closed turn
     turned change changed checked checking meet met finish finished lost lose win won play
     playing watch watching people person woman men women child children kid kids boy girl
     friend friends family mother father mom dad brother sister husband wife baby thing things
     times year years month months week weeks weekend day days today tomorrow yesterday hour
     hours minute minutes house home world life hand way ways water money car job school phone
     number name question problem problems place city town street road country food dinner
     lunch breakfast new big small little long short high last next first second third early
     right wrong better best worse worst bad happy sad tired busy ready free full empty hot
     cold warm old young whole enough different important sick hurt",
    // Days, months, numbers
    "monday tuesday wednesday thursday friday saturday sunday january february march april june
     july august september october november december two three four five six seven eight nine
     eleven twelve twenty thirty forty fifty hundred thousand half",
    // Text messages
    "ur r thru tho tmrw tmr tmw tmrow tonite nite gonna wanna gotta gimme lemme kinda sorta dunno
     cuz bcuz coz idk imo imho fyi lmk btw omw brb ttyl wknd txt ppl smth smthn rn abt dont
     cant wont didnt doesnt isnt arent wasnt im ive youre youve theyre thats whats hes shes
     wouldnt couldnt shouldnt havent hasnt hadnt aint yall gd luv wat wen wud cud shud hav
     havnt bday any1 some1 every1 no1 2day 2nite 2morrow 2moro 2mrw 4u b4 gr8 l8r m8 w8 str8
     np nvm ikr wyd wbu hbu hmu sup gn gm tysm yw",
    // What tenants write about
    "rent rented renting lease leasing landlord landlady tenant tenants apartment unit payment
     payments paid pay paying due owe owed deposit fee fees receipt bank account card sink
     leak leaks leaking leaked toilet clogged flush flushing faucet shower tub drain heater
     heat heating furnace thermostat broken broke fix fixed fixing repair repairs repaired
     maintenance plumber plumbing electrician key keys lock locked locksmith door doorbell
     window windows kitchen bathroom bedroom basement roof ceiling floor wall walls stairs
     hallway mold roach roaches mouse mice rats bugs bedbugs exterminator spray neighbor
     neighbors neighbour noise noisy loud parking parked laundry washer dryer washing machine
     dishwasher fridge freezer stove oven microwave trash garbage dumpster mailbox mail
     package packages delivered delivery move moving moved notice eviction evict renew renewal
     roommate roommates pet pets dog dogs cat cats smoke alarm outage power
     electricity bill bills inspection appointment office building complex available",
];

const SPANISH: &[&str] = &[
    // Greetings and answers
    "hola holi holis buenas buenos buen gracias muchisimas saludos sí si adiós adios perdón perdon
     perdone disculpe disculpen bienvenido bienvenida permiso porfa porfis porfavor dale bueno
     bien listo lista perfecto felicidades abrazos besos ándale órale ahorita nomás",
    // Function words
    "el los las lo del al un unos unas y yo tú usted ustedes él ella ellos ellas nosotros vosotros
     mi mis su sus nuestro nuestra nuestros nuestras vuestro suyo suya suyos mío mía míos tuyo
     tuya le les ese esos eso esto aquel aquella aquello aquellos aquí ahí allí allá acá qué
     quién quien quienes cuál cual cuáles cómo cuándo cuando cuánto cuanto cuántos cuantos
     cuánta cuantas dónde donde adónde porqué pero aunque sino mientras hasta hacia con sin
     entonces también tambien tampoco muy mucho mucha muchos muchas más nadie jamás siempre
     alguien algún algun alguno alguna algunos ninguno ninguna ningún ningun todavía todavia
     aún ya hoy ayer mañana anoche ahora luego después despues mejor peor otro otra otros
     otras mismo misma mismos tan así asi solo sólo además ademas según segun cerca lejos
     fuera encima debajo detrás quizás quizas pues uno la en",
    // Common verbs
    "soy eres es fue fuimos fueron estoy están estaba estuve estuvo hay había habia hubo habrá han
     hemos haya tengo tienes tiene tienen tuve tuvo tenía tenia tener hago haces hace hacen
     hizo hice hacer hecho puedo puedes puede pueden pude pudo podría podria quiero quieres
     quiere quieren quería queria quisiera querer voy vas va iba venir vengo vienes viene
     vienen vino vinieron dice dicen dijo dije dijeron decir dígame digame sé saben veo doy
     dio déjeme dejeme deje dejó dejar llego llega llegó llegue llegar llamo llama llamó llame
     llamar llámame pagué mandó mandé envío envíe envié necesito necesita necesitamos
     necesitan creo crees cree pasó paso pasa pasar pongo pone poner puse puso salgo salir
     salió sigue seguir siguen hablo habla hablar hable trabajo trabaja trabajar trabajando
     viven vivir encontré perdí gusta gustaría quedó queda quedar llevo lleva llevar traer
     trae trajo oye oiga mire avísame aviseme avisen ayuda ayúdame ayudar ayudeme arreglar
     arregle arregló arreglaron funcionan sirve haciendo siendo teniendo diciendo viendo yendo
     leer escribir cerrar",
    // Common nouns and adjectives
    "señor señora señorita senor senora señores don doña niño niña niños nino ninos hijo hija hijos
     hermano hermana mamá papá mujer hombre vecino vecina vecinos cosas día días noche noches
     año años mañanas tiempo veces ciudad calle carrera dinero plata escuela teléfono telefono
     correo electrónico mensaje mensajes pregunta preguntas respuesta nombre llamada nuevo
     nueva nuevos viejo vieja pequeño buena malo primero primera siguiente hermoso feo frío
     caliente lleno vacío enfermo enferma posible",
    // Days, months, numbers
    "lunes martes miércoles miercoles jueves viernes enero febrero marzo mayo junio julio
     septiembre setiembre octubre noviembre diciembre cuatro siete ocho nueve diez quince
     veinte treinta cuarenta cincuenta cien ciento quinientos",
    // Text messages
    "xq xk xfa xfavor xfis tmbn tmbien tqm tkm bn ntp grax grcs gcs graciass dde cnd kiero kien
     kiere salu2 ud uds udes msj msjs mñn mñana weno wenas jaja jajaja jajajaja jajajajaja
     jeje jejeje jejejeje jiji jajaj jajajaj manana",
    // What tenants write about
    "renta rentas alquiler arriendo casero casera dueño dueña inquilinos depa depto llave llaves
     cerradura puerta puertas ventana ventanas cocina baño baños bano cuarto cuartos
     habitación habitacion recamara techo pared pasillo escalera escaleras sótano fuga gotea
     goteando goteras grifo inodoro excusado lavabo fregadero regadera calefacción calefaccion
     calentador nevera heladera refri estufa horno lavadora secadora basura ruido ratones
     ratón cucaracha cucarachas chinches moho humedad plomero fontanero electricista cerrajero
     roto rota rotos rompió rompio dañado danado dañada dañó daño descompuesto descompuso
     apagó buzón buzon estacionamiento perro perros mascota mascotas deposité factura mudarme
     temprano cita arreglo",
];

const PORTUGUESE: &[&str] = &[
    // Greetings and answers
    "oi oie olá bom boa boas tudo obrigado obrigada obrigadão obrigadao sim não nao desculpa
     desculpe desculpem tchau valeu beleza abraço abraços beijo beijos licença licenca
     perfeito parabéns parabens certo ótimo otimo né",
    // Function words
    "um uma uns umas das ao aos à às na nas em numa pelo pela pelos pelas com é eu você voce vocês
     voces ele eles ela elas nós meu meus minha minhas seu seus sua suas teu tua dele dela
     deles delas isso isto aquilo aquele aquela aqueles essa esse esses essas daqui dali ali
     lá cá quê quem quais qual onde aonde quando quanto quantos quanta porquê porém embora
     enquanto até sem então entao também tampouco muito muita muitos muitas mais ninguém
     ninguem jamais sempre alguém alguem algum alguns algumas nenhum nenhuma ainda já hoje
     ontem amanhã amanha agora depois cedo melhor pior outro outra outros outras mesmo mesma
     mesmos tão tao assim só além alem perto longe fora talvez pois sao os e",
    // Common verbs
    "sou és são foi foram estou tá estão estao estive esteve há havia houve tenho tem têm temos
     tinha teve tive ter faço faco faz fazem fez fiz fazer feito fazendo posso pode podem pôde
     poderia quer querem gostaria vou vai vão vamo indo vir venho vem vêm veio vieram diz
     dizem disse dizer sei vejo vê viu dou dá deu deixa deixe deixou deixar chego chega chegou
     chegar ligo ligou paguei pagou mandou mandei enviei enviou preciso precisa precisamos
     precisam precisar acho acha achei achou aconteceu passou ponho põe pôr saio sai saiu falo
     fala falou falar fale trabalho trabalha trabalhar trabalhando moram ficou fica ficar
     ficando levo leva levar trazer traz trouxe avisem ajude consertar conserta consertou
     consegue conseguiu gosto gosta gostei ler escrever fechar respondeu aguardo aguardando
     aguarde",
    // Common nouns and adjectives
    "senhor senhora moço moça menino menina filho filha filhos irmão irmã irmao mãe pai mulher
     homem pessoas pessoa vizinho vizinha vizinhos coisa coisas noite noites anos mês manhã
     manha vezes cidade rua dinheiro escola telefone mensagem mensagens pergunta perguntas
     resposta nome novo nova novos velho velha pequeno mau má ruim primeiro primeira seguinte
     feio quente cheio vazio doente errado possível possivel",
    // Days, months, numbers
    "terça terca quarta feira janeiro fevereiro março maio junho julho setembro outubro novembro
     dezembro dois duas quatro sete oito nove dez doze quinze vinte trinta quarenta cinquenta
     cem cento quinhentos",
    // Text messages
    "vc vcs tbm tbem blz obg obgd obgda brigado brigada vlw flw mto mta mtos hj amh qdo qnd cmg ctg
     msm ngm agr dps neh naum bjs bjo bjão sdds pfv pfvr oq oque cê cês pra pras vdd mds tava
     tô axo kkk kkkk kkkkk kkkkkk rs rsrs rsrsrs ñ aí",
    // What tenants write about
    "aluguel aluguer aluguéis alugar proprietário proprietario síndico sindico apê janela janelas
     cozinha banheiro quarto quartos teto parede escada fechadura chave chaves torneira
     vazamento vazando vazou goteira pia chuveiro entupiu entupido entupida aquecedor
     aquecimento geladeira fogão fogao forno lixo barulho ratos mofo encanador eletricista
     conserto quebrado quebrada quebrou estragou queimou queimada queimado garagem cachorro
     cachorros condomínio portaria porteiro comprovante vistoria mudança pagamento depositei
     transferi",
];

/// Of English and Spanish.
const NOT_PORTUGUESE: &[&str] = &[
    "once red pan son pie sale simple fiesta siesta plaza crisis oasis personal terrible horrible
     visible invisible flexible notable adorable probable variable inevitable favorable
     sensible he",
];

/// Of English and Portuguese.
const NOT_SPANISH: &[&str] = &["do to for as num ate"];

/// Of Spanish and Portuguese.
const NOT_ENGLISH: &[&str] =
    &["casa casas agua carro carros problema problemas familia familias hora horas semana semanas
     mesa mesas cama camas vida amigo amiga amigos amigas por para como que se te de gente
     mundo nada nunca algo tarde tardes vez tal cada menos antes desde dentro tanto tanta
     tantos tantas vamos somos estamos podemos ir ver dar saber poder comer dormir abrir
     enviar mandar esperar encontrar perder buscar colocar continuar responder pagar cobrar
     comprar vender usar entrar sentir pedir subir partir cantar parar preparar mudar lavar
     firmar falta faltan pago pagos paga recibo recibos contrato contratos luz gato gatos rato
     sala visita visitas multa multas apartamento apartamentos departamento inquilino deposito
     grande grandes alto alta bonito bonita claro caro cara barato barata rico triste tristes
     feliz verde azul negro negra arroz carne sol sopa fruta frutas abril agosto domingo
     domingos sabado cinco seis tres mil sexta quinta ano mes este esta estas nos mira espera
     avisa manda pronta urgente seguro segura cansado cansada ocupado ocupada ultimo ultima
     proximo proxima momento momentos cheque celular corredor descarga boleto prima primo tia
     tio padre esposo entrada entradas parte lado lados caso casos ola todo toda todos todas
     mas piso vaso disculpa resto forma formas importante presente durante bastante ligar
     pronto o q da dos pq tb ta pa aqui excelente vale entendido combinado"];

/// Of all three.
const COMMON: &[&str] = &[
    "no a me come van base patio similar popular particular regular singular familiar cruel favor
     gas mar era eras partes tomar",
];

const NOTHING: &[&str] = &[
    // Acknowledged, laughed, sighed
    "qwerty asdf asdfg asdfgh asdfghjkl ok oks okk okok k kk oka okay okey oki oky okie ah aha ahah
     ahaha ahh aw eh ehh er hm hmm hmmm mm mmm mhm uh uhh uhm umm oh ohh ooh oops ops ups ugh
     wow whoa yay ha hah haha hahaha hahahaha hahah heh hehe hehehe hihi lol lmao lmfao rofl
     xd omg wtf wth asap rip tgif bro",
    // Of all three languages, and of others
    "hotel hotels motel hospital hospitals taxi bus metro radio video videos audio foto photo menu
     pizza chocolate banana piano bar pub club cafe internet wifi wi fi web site online
     offline email emails e-mail gmail hotmail yahoo whatsapp facebook instagram twitter
     tiktok youtube google netflix uber lyft amazon walmart target costco zelle venmo paypal
     cashapp app apps sms mms gps pin pdf jpg png usb tv pc laptop tablet iphone android
     samsung link links chat blog selfie covid virus animal metal final total normal general
     local central social federal legal natural original digital virtual actual real ideal
     capital material manual principal visual oral rural tribunal festival canal cable panel
     motor sensor director doctor dr dra actor factor color error horror terror tumor rumor
     vapor zero plus extra super mega mini visa sofa data idea area formula opera camera drama
     panorama plan golf tennis sushi taco tacos burrito kilo kg km cm lb oz usd apt st ave
     blvd",
    // Given names
    "aaron abby abigail adam adrian adriana agustin aisha alan alana albert alberto alejandra
     alejandro alex alexa alexander alexandra alexandre alexis alfonso alfredo alice alicia
     alison allison alma amanda amelia ana andre andrea andres andrew andy angela angelica
     angelina anita ann anna anne annie anthony antonia antonio ariana ariel armando arthur
     artur arturo ashley aubrey augusto aurora austin ava barbara beatriz becky ben benjamin
     bernardo beth betty bianca bob bobby brad bradley brandon brenda brian brianna bruna
     bruno bryan caio camila camille carla carlos carlton carmen carol carolina caroline
     cassandra catarina catherine cecilia celia cesar charles charlie charlotte chelsea cheryl
     chloe chris christian christina christine christopher cindy claire clara claudia claudio
     connie craig cristian cristiano cristina cynthia damian dana daniel daniela danielle
     danilo danny darren dave david deborah debra denise dennis derek diana diane diego donald
     donna doris douglas dylan ed eddie edgar eduarda eduardo edward edwin eileen elaine elena
     eliana elias elisa elizabeth ellen emilia emilio emily emma enrique eric erica erick erik
     erika ernesto esteban estela esther ethan eugenia eva evelyn fabian fabiana fabio fatima
     federico felicia felipe fernanda fernando flavia flavio frances francesca francisca
     francisco franklin fred gabriel gabriela gabriele gary george georgia gerald gerardo
     gilbert gilberto gina giovanna gisele gladys gloria gonzalo greg gregory guadalupe
     guilherme guillermo gustavo hannah harold harry hector heitor helen helena henrique henry
     hugo ian ignacio igor ines ingrid irene iris irma isaac isabel isabela isabella isabelle
     isadora ismael ivan ivone jack jackie jackson jacob jacqueline jaime jake james jamie jan
     jane janet janice jared jasmine jason javier jeff jeffrey jennifer jenny jeremy jerome
     jerry jesse jessica jesus jill jim jimmy joan joana joanna joao joaquim joaquin joe joel
     john johnny jon jonathan jordan jorge jose josefina joseph josh joshua joyce juan juana
     juanita judith judy julia julian juliana julie juliet julieta justin karen karina karl
     karla kate katherine kathleen kathryn kathy katie katrina kayla keith kelly ken kenneth
     kevin kim kimberly kristen kristin kyle lara larissa larry laura lauren laurie leandro
     leila leon leonardo leonor leslie leticia levi lidia liliana lillian lily linda lisa
     livia liz logan lois lorena lorenzo lori louis louise lucas lucia luciana luciano lucy
     luis luisa luiz luiza luke lydia lynn madison marcela marcelo marcia marcio marco marcos
     marcus margaret margarita maria mariana mariano marie marilyn marina mario marisa marisol
     marta martha martin martina marvin mary mateo matheus mathew matias matthew mauricio
     mauro megan melanie melissa mercedes michael michele michelle miguel mike mila milton
     miriam moises molly monica nancy natalia natalie natasha nathan nelson nicholas nick
     nicolas nicole noah noelia nora norma octavio oliver olivia omar oscar osvaldo otavio
     pablo pamela patricia patrick patty paul paula paulina paulo pedro peter phil philip
     phillip priscila rachel rafael rafaela ralph ramiro ramon randy raquel raul raymond
     rebecca regina renan renata renato ricardo richard rick robert roberta roberto rodolfo
     rodrigo rogelio roger roland romeo ronald ronaldo rosa rosalia rosana rosario rosemary
     roy ruben russell ruth ryan sabrina sally salvador sam samantha samuel sandra santiago
     sara sarah scott sean sebastian sebastiao sergio sharon sheila shirley silvia simone
     sofia sonia sophia sophie stella stephanie stephen steve steven sue susan susana suzana
     sylvia tamara tania tara tatiana taylor ted teresa terry thais theo theresa thiago thomas
     tiago tiffany tim timothy tina todd tom tomas tommy tony tracy travis tyler ursula
     valentina valeria vanessa vera veronica vicente victor vincent violeta virginia vitor
     vitoria vivian viviane walter wanda wayne wendy wesley william willie wilson xavier
     ximena yasmin yesenia yolanda yvonne zachary zoe",
    // Family names
    "aguilar almeida alvarez alves anderson andrade araujo avila barbosa batista bennett campbell
     cardoso carvalho castro chavez clark collins contreras correia costa cruz davis delgado
     diaz dominguez edwards evans fernandes fernandez ferreira figueroa flores fonseca garcia
     gomes gomez goncalves gonzales gonzalez gutierrez guzman hernandez herrera jimenez
     johnson jones juarez lewis lima lopes lopez machado maldonado marques marquez martinez
     martins medeiros medina mejia melo mendes mendez mendoza miller mitchell molina monteiro
     moore morales moreira moreno morgan morris munoz murphy nascimento navarro nguyen
     nogueira nunes nunez oliveira ortega ortiz pacheco padilla parker patel peralta pereira
     perez phillips pinheiro pinto ramirez ramos reyes ribeiro rivera roberts robinson rocha
     rodrigues rodriguez rojas romero ruiz salazar salinas sanchez sandoval santana santos
     serrano silva smith soares soto sousa souza suarez teixeira thompson torres turner valdez
     vargas vasquez vazquez velasquez vieira villanueva watson williams zamora",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_word_is_listed_twice() {
        let mut seen = HashSet::new();
        let lists = [
            ENGLISH,
            SPANISH,
            PORTUGUESE,
            NOT_ENGLISH,
            NOT_SPANISH,
            NOT_PORTUGUESE,
            COMMON,
            NOTHING,
        ];
        let words = lists.iter().flat_map(|texts| texts.iter().flat_map(|t| t.split_whitespace()));
        let twice: Vec<&str> = words.filter(|word| !seen.insert(*word)).collect();
        assert_eq!(twice, [""; 0]);
    }
}
